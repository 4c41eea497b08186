"""The paged backend's promises, on a CPU in float32: its answers are transformers' own, whatever else runs."""

from collections.abc import Iterable

import pytest
import torch
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM

from wxruntime.backends import prompt_logprobs
from wxruntime.backends.base import Logprob, Sequence, Step
from wxruntime.paged.loop import Paged
from wxruntime.paged.model import Ernie
from wxruntime.paged.prompts import SEQUENCES
from wxruntime.paged.weights import from_state
from wxruntime.sampling import Sampling

CONFIG = Ernie4_5Config(
    vocab_size=199,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    intermediate_size=48,
    max_position_embeddings=256,
)
LENGTHS = (1, 5, 16, 17, 40, 70)
MADE = 24


@pytest.fixture(scope="module")
def model() -> Ernie4_5ForCausalLM:
    torch.manual_seed(3)
    model = Ernie4_5ForCausalLM(CONFIG).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    torch.manual_seed(4)
    return [torch.randint(3, 199, (length,)).tolist() for length in LENGTHS]


@pytest.fixture(scope="module")
def answers(model: Ernie4_5ForCausalLM, prompts: list[list[int]]) -> list[list[int]]:
    made = []
    with torch.inference_mode():
        for prompt in prompts:
            ids = torch.tensor([prompt])
            for _ in range(MADE):
                ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
            made.append(ids[0, len(prompt) :].tolist())
    return made


def backend(model: Ernie4_5ForCausalLM, *, pages: int = 64, sequences: int = 4, batch_tokens: int = 32) -> Paged:
    weights = from_state(model.state_dict(), CONFIG)
    return Paged(Ernie(CONFIG, weights, pages * 16, 128), slots=pages * 16, page=16, sequences=sequences,
                 batch_tokens=batch_tokens, context=128)  # fmt: skip


def greedy(prompts: Iterable[list[int]], most: int = MADE) -> list[Sequence]:
    return [Sequence(at, prompt, Sampling(most, temperature=0)) for at, prompt in enumerate(prompts)]


def run(paged: Paged, sequences: list[Sequence]) -> dict[int, list[int]]:
    paged.admit(sequences)
    made: dict[int, list[int]] = {each.id: [] for each in sequences}
    left = set(made)
    while left:
        step = paged.step()
        for each, token in step.tokens:
            made[each].append(token)
        left -= {each for each, _ in step.finished}
    return made


@pytest.mark.parametrize("sequences", [1, 4, 6])
def test_batched_answers_are_those_of_the_model_alone(model, prompts, answers, sequences) -> None:
    made = run(backend(model, sequences=sequences), greedy(prompts))
    assert [made[at] for at in range(len(prompts))] == answers


def test_who_is_set_back_for_want_of_pages_answers_the_same(model, prompts, answers, monkeypatch) -> None:
    paged = backend(model, pages=9, sequences=6)
    set_back = []
    make_room = paged._make_room
    monkeypatch.setattr(paged, "_make_room", lambda step: (set_back.append(1), make_room(step)))
    made = run(paged, greedy(prompts))
    assert set_back, "nine pages were enough: the test shows nothing"
    assert [made[at] for at in range(len(prompts))] == answers
    assert paged.pool.free == 9


def test_a_prefix_in_the_pool_is_not_read_again_and_changes_nothing(model, prompts, answers) -> None:
    paged = backend(model)
    run(paged, greedy(prompts[5:]))
    paged.admit([Sequence(9, prompts[5], Sampling(1, temperature=0))])
    steps = [paged.step()]
    while not steps[-1].finished:
        steps.append(paged.step())
    assert [started for step in steps for started in step.started] == [(9, 64)]
    assert [token for step in steps for token in step.tokens] == [(9, answers[5][0])]
    assert paged.usage().prefix_hits == 64


def test_a_stop_token_ends_an_answer_and_is_told(model, prompts, answers) -> None:
    stop = answers[4][6]
    until = answers[4].index(stop) + 1
    sampling = Sampling(MADE, temperature=0, stop_tokens=frozenset({stop}))
    assert run(backend(model), [Sequence(0, prompts[4], sampling)])[0] == answers[4][:until]


def test_what_is_dropped_leaves_nothing_and_disturbs_nobody(model, prompts, answers) -> None:
    paged = backend(model)
    paged.admit(greedy(prompts))
    made: list[tuple[int, int]] = []
    for _ in range(6):
        made += paged.step().tokens
    paged.drop([0, 2, 5, 77])
    finished: list[int] = []
    while len(finished) < 3:
        step: Step = paged.step()
        assert not {each for each, _ in step.tokens} & {0, 2, 5}
        made += step.tokens
        finished += [each for each, _ in step.finished]
    for each in (1, 3, 4):
        assert [token for at, token in made if at == each] == answers[each]
    assert paged.usage().kv_used == 0


def test_a_seed_gives_the_same_draws_alone_and_in_company(model, prompts) -> None:
    sampled = [
        Sequence(at, prompt, Sampling(8, temperature=1.0, top_p=0.9, seed=at)) for at, prompt in enumerate(prompts)
    ]
    together = run(backend(model, sequences=6), sampled)
    for sequence in sampled[:3]:
        assert run(backend(model, sequences=1), [sequence])[sequence.id] == together[sequence.id]


def test_log_likelihoods_are_the_models_own(model, prompts, answers) -> None:
    paged = backend(model)
    paged.admit([Sequence(0, prompts[1], Sampling(3, temperature=0, logprobs=2)), *greedy(prompts[2:])[1:]])
    told: list[tuple[int, Logprob]] = []
    while len(told) < 3:
        step = paged.step()
        told += [(step.tokens[at][1], logprob) for at, logprob in step.logprobs.items()]
    ids = torch.tensor([prompts[1] + answers[1][:3]])
    with torch.inference_mode():
        true = torch.log_softmax(model(ids).logits[0], -1)[len(prompts[1]) - 1 :]
    for at, (token, logprob) in enumerate(told):
        assert logprob.chosen == pytest.approx(true[at, token].item(), abs=1e-4)
        assert logprob.top[0] == (token, pytest.approx(logprob.chosen, abs=1e-4))
        assert len(logprob.top) == 2


def told_of(paged: Paged, sequences: list[Sequence]) -> dict[int, list[Logprob]]:
    """How likely their prompts were."""
    paged.admit(sequences)
    told: dict[int, list[Logprob]] = {each.id: [] for each in sequences}
    left = set(told)
    while left:
        step = paged.step()
        for each, logprobs in step.prompt_logprobs.items():
            told[each] += logprobs
        left -= {each for each, _ in step.finished}
    return told


def agree(model: Ernie4_5ForCausalLM, prompt: list[int], told: list[Logprob]) -> None:
    with torch.inference_mode():
        true = torch.log_softmax(model(torch.tensor([prompt])).logits[0, :-1], -1)
    assert [each.chosen for each in told] == pytest.approx(
        true.gather(1, torch.tensor(prompt[1:])[:, None])[:, 0].tolist(), abs=1e-4
    )
    assert [each.top[0][1] for each in told] == pytest.approx(true.amax(-1).tolist(), abs=1e-4)
    assert {len(each.top) for each in told} <= {2}


def asking(prompts: Iterable[list[int]], most: int = MADE) -> list[Sequence]:
    return [Sequence(at, prompt, Sampling(most, temperature=0, prompt_logprobs=2)) for at, prompt in enumerate(prompts)]


@pytest.mark.parametrize("batch_tokens", [7, 32, 256])
def test_a_prompts_tokens_are_as_likely_as_the_model_finds_them_alone_and_in_company(
    model, prompts, batch_tokens, monkeypatch
) -> None:
    monkeypatch.setattr(prompt_logprobs, "CHUNK_BYTES", 5 * 4 * CONFIG.vocab_size)
    paged = backend(model, batch_tokens=batch_tokens)
    told = told_of(paged, [*asking(prompts), Sequence(9, prompts[4], Sampling(MADE, temperature=0))])
    assert told[9] == []
    for at, prompt in enumerate(prompts):
        agree(model, prompt, told[at])
    agree(model, prompts[5], told_of(backend(model), asking(prompts[5:]))[0])


def test_a_prompt_that_is_told_takes_no_page_that_others_have_read_and_leaves_its_own(model, prompts) -> None:
    paged = backend(model)
    run(paged, greedy(prompts[5:]))
    before = paged.usage()
    agree(model, prompts[5], told_of(paged, asking(prompts[5:]))[0])
    assert paged.usage() == before, "it looked for a prefix"
    fresh = backend(model)
    told_of(fresh, asking(prompts[5:]))
    run(fresh, greedy(prompts[5:]))
    assert fresh.usage().prefix_hits == 64


def test_who_is_set_back_is_told_the_prompt_once(model, prompts, answers, monkeypatch) -> None:
    paged = backend(model, pages=9, sequences=6)
    set_back = []
    make_room = paged._make_room
    monkeypatch.setattr(paged, "_make_room", lambda step: (set_back.append(1), make_room(step)))
    told = told_of(paged, asking(prompts))
    assert set_back, "nine pages were enough: the test shows nothing"
    for at, prompt in enumerate(prompts):
        agree(model, prompt, told[at])


def test_after_reset_it_is_as_after_load(model, prompts, answers) -> None:
    paged = backend(model)
    paged.prove()
    paged.admit(greedy(prompts))
    paged.step()
    paged.step()
    paged.reset()
    assert run(paged, greedy(prompts[3:4]))[0] == answers[3]


def test_what_a_pass_over_prompts_draws_finds_its_place_however_few_may_run(model) -> None:
    """A graph of such a pass always draws for SEQUENCES, padding included."""
    rows = backend(model, sequences=1).rows
    assert rows._place(torch.Size((2, SEQUENCES))).shape == (2, SEQUENCES)
