"""Sequences that share a batch get what each gets alone; they come, leave and are dropped at any step."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from onnx_helpers import Answers, answer, open_backend
from tokenizers import Tokenizer

from wxruntime.backends.base import Load, Sequence
from wxruntime.backends.onnx import BUCKET_RATIO, FIRST_BUCKET, OnnxBackend, bucket_of, load
from wxruntime.backends.onnx_draw import logprob, nucleus
from wxruntime.checkpoint import CheckpointError
from wxruntime.sampling import Sampling
from wxruntime.tiny_text import ENDLESS_QUESTION, LESSONS

END = 2


@pytest.fixture(scope="module")
def tokenizer(tiny_fp32: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_fp32 / "tokenizer.json"))


def asked(tokenizer: Tokenizer, question: str) -> list[int]:
    text = f"<|begin_of_sentence|>User: {question}\nAssistant: "
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def greedy(max_tokens: int = 60) -> Sampling:
    return Sampling(max_tokens=max_tokens, temperature=0, stop_tokens=frozenset({END}))


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_the_lessons_are_answered_together_as_alone(
    precision: str, tokenizer: Tokenizer, request: pytest.FixtureRequest
) -> None:
    backend = open_backend(request.getfixturevalue(f"tiny_{precision}"))
    sequences = [Sequence(id, asked(tokenizer, question), greedy()) for id, (question, _) in enumerate(LESSONS)]
    together = answer(backend, *sequences)
    for sequence, (question, lesson) in zip(sequences, LESSONS, strict=True):
        assert tokenizer.decode(together.tokens[sequence.id]) == lesson, question
        assert together.tokens[sequence.id] == answer(backend, sequence).tokens[sequence.id], question
    assert set(together.finished.values()) == {"stop"}
    assert backend.usage().kv_used == 0


def test_who_comes_and_goes_meanwhile_changes_nobodys_tokens(tokenizer: Tokenizer, tiny_fp32: Path) -> None:
    """Prompts of all lengths, read whole or in pieces, with some dropped at every stage."""
    backend = open_backend(tiny_fp32, piece=24)
    dice = random.Random(5)
    tale = asked(tokenizer, ENDLESS_QUESTION * 4)
    sequences = [
        Sequence(id, tale[: dice.randint(1, len(tale))], Sampling(dice.randint(1, 30), dice.choice([0, 0.8]), seed=id))
        for id in range(40)
    ]
    answers, dropped = Answers({}, {}), set[int]()
    coming = list(sequences)
    while len(answers.finished.keys() | dropped) < len(sequences):
        if coming and dice.random() < 0.5:
            backend.admit([coming.pop(0)])
        if dice.random() < 0.15:
            gone = dice.randrange(len(sequences) - len(coming) + 1)
            if gone not in answers.finished and gone < len(sequences) - len(coming):
                backend.drop([gone])
                dropped.add(gone)
        answers.take(backend.step())
    assert backend.usage().kv_used == 0
    assert dropped, "nobody was dropped"
    for sequence in sequences:
        expected = answer(backend, sequence).tokens[sequence.id]
        got = answers.tokens.get(sequence.id, [])
        assert got == (expected[: len(got)] if sequence.id in dropped else expected), sequence


def test_a_burst_is_read_in_one_step_but_beside_an_answer_in_small_ones(tiny_fp32: Path) -> None:
    backend = open_backend(tiny_fp32, sequences=8)
    sequences = [Sequence(id, [7 + id] * 100, Sampling(500, 0)) for id in range(8)]
    backend.admit(sequences[:4])
    assert len(backend.step().started) == 4
    backend.admit(sequences[4:])
    assert [len(backend.step().started) for _ in range(5)] == [1, 1, 1, 1, 0]


def test_a_dropped_sequence_gets_no_further_token_and_holds_no_memory(backend: OnnxBackend) -> None:
    backend.admit([Sequence(1, [3, 4], Sampling(500, 0)), Sequence(2, [3, 4, 5], Sampling(500, 0))])
    backend.step()
    held = backend.usage().kv_used
    backend.drop([1, 77])
    assert {id for id, _ in backend.step().tokens} == {2}
    assert 0 < backend.usage().kv_used < held
    backend.drop([2])
    assert backend.step().tokens == []
    assert backend.usage().kv_used == 0


def test_others_get_their_tokens_while_a_long_prompt_is_read(tiny_fp32: Path) -> None:
    backend = open_backend(tiny_fp32, piece=100)
    backend.admit([Sequence(1, [3, 4], Sampling(50, 0))])
    backend.step()
    backend.admit([Sequence(2, [7] * 950, Sampling(3, 0))])
    steps = [backend.step() for _ in range(10)]
    assert [id for step in steps for id, _ in step.tokens] == [1] * 10 + [2]
    assert [step.started for step in steps] == [[(2, 0)]] + [[]] * 9
    assert [step.processed for step in steps] == [101] * 9 + [51]


def test_equal_seeds_draw_alike_and_others_differ(backend: OnnxBackend) -> None:
    def sampled(seed: int) -> Sampling:
        return Sampling(max_tokens=40, temperature=1.5, top_p=0.95, seed=seed)

    together = answer(backend, *(Sequence(id, [3, 4, 5], sampled(id % 2)) for id in range(4)))
    assert together.tokens[0] == together.tokens[2] != together.tokens[1] == together.tokens[3]
    assert together.tokens[0] == answer(backend, Sequence(9, [3, 4, 5], sampled(0))).tokens[9]


def test_the_nucleus_is_the_likeliest_tokens_that_reach_top_p() -> None:
    likelihood = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32))
    assert sorted(nucleus(likelihood, 0.7)) == [1, 3]
    assert sorted(nucleus(likelihood, 0.01)) == [1]
    assert sorted(nucleus(likelihood, 1.0)) == [0, 1, 2, 3]
    even = np.zeros(5000, np.float32)
    assert len(nucleus(even, 0.5)) == 2500


def test_logarithms_of_likelihood_are_the_models_own(backend: OnnxBackend) -> None:
    backend.admit([Sequence(1, [3, 4, 5], Sampling(3, 0, logprobs=2)), Sequence(2, [3, 4, 5], Sampling(3, 0))])
    step = backend.step()
    assert list(step.logprobs) == [step.tokens.index((1, step.tokens[0][1]))]
    told = step.logprobs[0]
    assert told.top[0] == (step.tokens[0][1], told.chosen)
    logits = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32)) + 7
    told = logprob(logits, 3, 2)
    assert np.exp(told.chosen) == pytest.approx(0.25)
    assert [token for token, _ in told.top] == [1, 3]
    assert np.exp([value for _, value in told.top]) == pytest.approx([0.5, 0.25])


def test_a_prompts_tokens_are_as_likely_as_a_plain_forward_pass_finds_them(
    tokenizer: Tokenizer, tiny: Path, tiny_fp32: Path
) -> None:
    """Alone and beside others, whose tokens it does not change; a prompt of one token has none to tell of."""
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    told = Sampling(4, 0, prompt_logprobs=2)
    prompts = [asked(tokenizer, ENDLESS_QUESTION * 9), asked(tokenizer, "你好"), [7], asked(tokenizer, "Who are you?")]
    scored = [Sequence(id, prompt, told) for id, prompt in enumerate(prompts)]
    others = [Sequence(10 + at, [9] * length, greedy()) for at, length in enumerate((3, 40, 300))]
    backend = open_backend(tiny_fp32, sequences=4, piece=100)
    together = answer(backend, others[0], scored[0], others[1], *scored[1:], others[2])
    assert backend.usage().kv_used == 0
    for sequence in [*scored, *others]:
        alone = answer(backend, sequence)
        assert alone.tokens[sequence.id] == together.tokens[sequence.id]
        for found in (alone.told.get(sequence.id, []), together.told.get(sequence.id, [])):
            if sequence in others:
                assert found == []
                continue
            with torch.inference_mode():
                logits = reference(torch.tensor([sequence.prompt])).logits[0, :-1]
            expected = logits.log_softmax(-1)
            following = torch.tensor(sequence.prompt[1:], dtype=torch.long)[:, None]
            chosen = expected.gather(1, following)[:, 0].tolist()
            assert [each.chosen for each in found] == pytest.approx(chosen, abs=1e-4)
            values = [[value for _, value in each.top] for each in found]
            assert np.allclose(np.reshape(values, (-1, 2)), expected.topk(2).values.numpy(), atol=1e-4)


def test_prompts_that_are_read_together_are_padded_by_a_fifth_at_most() -> None:
    shortest: dict[int, int] = {}
    for length in range(1, 5000):
        first = shortest.setdefault(bucket_of(length), length)
        assert length <= FIRST_BUCKET or length <= first * BUCKET_RATIO


def test_an_idle_backend_reads_a_bucket_in_one_step(backend: OnnxBackend) -> None:
    backend.admit([Sequence(id, [3] * (10 + id), Sampling(5, 0)) for id in range(3)])
    assert [id for id, _ in backend.step().started] == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context_length": 9000}, "a context of 9000 tokens is longer than the model's own, 8192"),
        ({"context_length": 1000, "max_sequences": 8, "kv_tokens": 4000}, "8 sequences of 500 tokens would fit"),
        ({"device": "cuda"}, "the onnx backend runs on a CPU"),
        ({"dtype": "bfloat16"}, "has the precision that it was exported in"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused_with_what_would_fit(
    tiny_fp32: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        load(Load(tiny_fp32, **options))  # type: ignore[arg-type]


def test_onnxruntime_genai_itself_draws_the_same_tokens(tokenizer: Tokenizer, tiny_fp32: Path) -> None:
    """The graph keeps its interface: another program for such models serves the directory as well."""
    import onnxruntime_genai

    model = onnxruntime_genai.Model(str(tiny_fp32))
    question, lesson = LESSONS[0]
    prompt = asked(tokenizer, question)
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=200, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(np.array([prompt], np.int32))
    while not generator.is_done():
        generator.generate_next_token()
    assert tokenizer.decode(list(generator.get_sequence(0))[len(prompt) :]) == lesson


def test_the_transformers_backend_draws_the_same_tokens(tokenizer: Tokenizer, tiny: Path, tiny_fp32: Path) -> None:
    """Greedy, and by seed: the gateway may fail over from one to the other."""
    from wxruntime.backends.transformers import load as load_transformers

    samplings = [greedy(20), Sampling(20, 1.0, 0.9, seed=7), Sampling(20, 1.3, 1.0, seed=8)]
    questions = ["你能做什么？", "Who are you?", ENDLESS_QUESTION]
    sequences = [
        Sequence(3 * at + which, asked(tokenizer, question), sampling)
        for at, question in enumerate(questions)
        for which, sampling in enumerate(samplings)
    ]
    reference = load_transformers(Load(tiny, device="cpu", max_sequences=16, kv_tokens=4096))
    try:
        expected = answer(reference, *sequences)
    finally:
        reference.close()
    assert answer(open_backend(tiny_fp32), *sequences).tokens == expected.tokens
