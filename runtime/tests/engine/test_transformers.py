"""The backend that wraps transformers says what transformers' own generation says, whoever shares the batch."""

from __future__ import annotations

import random
from collections.abc import Sequence as List
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from wxruntime.backends.base import Load, Logprob, Sequence
from wxruntime.backends.drawing import draw, nucleus
from wxruntime.backends.transformers import CPU_BATCH_TOKENS, CPU_PAGE, Transformers, load
from wxruntime.checkpoint import CheckpointError
from wxruntime.sampling import Sampling

LENGTHS = (1, 30, CPU_PAGE, CPU_BATCH_TOKENS, 2 * CPU_BATCH_TOKENS + 7)
GREEDY = Sampling(max_tokens=20, temperature=0)


@pytest.fixture(scope="module")
def backend(tiny: Path) -> Transformers:
    return load(Load(tiny, device="cpu"))


def prompt(length: int, seed: int = 1) -> list[int]:
    return torch.randint(6, 400, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


class Run:
    """Sequences stepped to their ends."""

    numbers = iter(range(1, 1_000_000))

    def __init__(self, backend: Transformers, wanted: List[tuple[list[int], Sampling]]) -> None:
        sequences = [Sequence(next(self.numbers), *each) for each in wanted]
        place = {sequence.id: at for at, sequence in enumerate(sequences)}
        self.tokens: list[list[int]] = [[] for _ in wanted]
        self.logprobs: list[list[Logprob]] = [[] for _ in wanted]
        self.reasons: list[str] = [""] * len(wanted)
        self.steps = 0
        backend.admit(sequences)
        while not all(self.reasons):
            step = backend.step()
            self.steps += 1
            for at, (id_, token) in enumerate(step.tokens):
                self.tokens[place[id_]].append(token)
                if at in step.logprobs:
                    self.logprobs[place[id_]].append(step.logprobs[at])
            for id_, reason in step.finished:
                self.reasons[place[id_]] = reason


@pytest.mark.parametrize("architecture", ["dense", "moe"])
def test_a_batch_says_what_each_sequence_says_alone_and_what_generate_says(
    tiny: Path, moe: Path, architecture: str
) -> None:
    directory = tiny if architecture == "dense" else moe
    backend = load(Load(directory, device="cpu"))
    reference = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    reference.generation_config.eos_token_id = None
    prompts = [prompt(length) for length in LENGTHS]
    together = Run(backend, [(each, GREEDY) for each in prompts])
    for at, each in enumerate(prompts):
        expected = reference.generate(torch.tensor([each]), max_new_tokens=20, do_sample=False)[0, len(each) :]
        assert together.tokens[at] == expected.tolist(), f"{LENGTHS[at]} tokens"
        assert Run(backend, [(each, GREEDY)]).tokens[0] == together.tokens[at]


def test_a_stop_token_ends_a_sequence_and_is_its_last(backend: Transformers) -> None:
    free = Run(backend, [(prompt(30), GREEDY)]).tokens[0]
    stop = free[5]
    ended = Run(backend, [(prompt(30), Sampling(20, 0.0, stop_tokens=frozenset({stop})))])
    assert ended.tokens[0] == free[: free.index(stop) + 1] and ended.reasons == ["stop"]


def test_a_seed_gives_the_same_answer_in_any_company(backend: Transformers) -> None:
    drawn = Sampling(30, temperature=1.5, top_p=0.95, seed=7)
    alone = Run(backend, [(prompt(40), drawn)]).tokens[0]
    others = [(prompt(20, seed), Sampling(25, temperature=seed % 2, seed=seed)) for seed in range(2, 9)]
    assert Run(backend, [*others, (prompt(40), drawn)]).tokens[-1] == alone
    answers = [Run(backend, [(prompt(40), Sampling(30, 1.5, 0.95, seed=seed))]).tokens[0] for seed in (8, 9)]
    assert alone not in answers and answers[0] != answers[1]


def test_draws_follow_the_softmax_within_the_nucleus() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log().expand(4000, 4)
    keys = torch.randint(-(2**31), 2**31, (4000, 1), generator=torch.Generator().manual_seed(3)).int()
    column = torch.ones(4000, 1)
    whole = draw(logits, keys, column, column).argmax(-1).bincount(minlength=4) / 4000
    assert whole.tolist() == pytest.approx([0.1, 0.5, 0.15, 0.25], abs=0.03)
    narrow = draw(logits, keys, column, column * 0.7).argmax(-1).bincount(minlength=4) / 4000
    assert narrow.tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3], abs=0.03)
    assert draw(logits, keys, column * 0, column).argmax(-1).unique().tolist() == [1]


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.01, [1]), (0.5, [1]), (0.7, [1, 3]), (0.75, [1, 3]), (0.8, [1, 2, 3]), (1.0, [0, 1, 2, 3])]
)
def test_the_nucleus_is_the_likeliest_tokens_that_reach_top_p(top_p: float, kept: list[int]) -> None:
    likelihood = torch.tensor([[0.1, 0.5, 0.15, 0.25]])
    assert nucleus(likelihood, torch.tensor([[top_p]]))[0].nonzero()[:, 0].tolist() == kept


def test_logprobs_are_those_of_a_plain_forward_pass(tiny: Path, backend: Transformers) -> None:
    asked = Sampling(8, temperature=1.3, top_p=0.9, seed=3, logprobs=4)
    ran = Run(backend, [(prompt(50, 2), GREEDY), (prompt(30), asked)])
    assert not ran.logprobs[0]
    reference = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    with torch.inference_mode():
        logits = reference(torch.tensor([prompt(30) + ran.tokens[1]])).logits[0, 29:-1]
    expected = logits.log_softmax(-1)
    for row, (token, told) in enumerate(zip(ran.tokens[1], ran.logprobs[1], strict=True)):
        assert told.chosen == pytest.approx(float(expected[row, token]), abs=1e-4)
        values, tokens = expected[row].topk(4)
        assert [token for token, _ in told.top] == tokens.tolist()
        assert [value for _, value in told.top] == pytest.approx(values.tolist(), abs=1e-4)


def test_a_prefix_that_was_read_before_is_read_no_more(tiny: Path) -> None:
    backend = load(Load(tiny, device="cpu"))
    Run(backend, [(prompt(100), GREEDY)])
    backend.admit([Sequence(-2, [*prompt(100), 7, 8], GREEDY)])
    step = backend.step()
    shared = 100 // CPU_PAGE * CPU_PAGE
    assert step.started == [(-2, shared)] and step.processed == 102 - shared
    backend.drop([-2])
    before = backend.usage()
    Run(backend, [([*prompt(100), 9], GREEDY)])
    after = backend.usage()
    assert (after.prefix_queries - before.prefix_queries, after.prefix_hits - before.prefix_hits) == (101, shared)


def test_without_prefix_caching_nothing_is_shared(tiny: Path) -> None:
    backend = load(Load(tiny, device="cpu", prefix_caching=False))
    for _ in range(2):
        Run(backend, [(prompt(100), GREEDY)])
    assert backend.usage().prefix_hits == 0


def test_sixteen_at_once_take_less_than_a_quarter_of_the_steps_one_after_another(backend: Transformers) -> None:
    wanted = [(prompt(20 + at, at), GREEDY) for at in range(16)]
    together = Run(backend, wanted).steps
    alone = sum(Run(backend, [each]).steps for each in wanted)
    assert alone == 16 * 20 and together * 4 <= alone


def test_dropped_sequences_leave_no_block_behind(backend: Transformers) -> None:
    """In any state: waiting, in the middle of a prompt, answering."""
    chance = random.Random(5)
    running: list[int] = []
    for round_ in range(60):
        fresh = [Sequence(next(Run.numbers), prompt(chance.randrange(1, 700), round_), GREEDY) for _ in range(3)]
        backend.admit(fresh)
        running += [sequence.id for sequence in fresh]
        leaving = chance.sample(running, chance.randrange(4))
        backend.drop(leaving)
        step = backend.step()
        assert not {id_ for id_, _ in step.tokens} & set(leaving)
        running = [id_ for id_ in running if id_ not in leaving and id_ not in dict(step.finished)]
    assert backend.usage().kv_used > 0
    backend.drop(running)
    assert backend.usage().kv_used == 0
    assert not backend._drawing.running and not backend._began and not backend._matched
    assert Run(backend, [(prompt(30), GREEDY)]).reasons == ["length"]


def test_more_than_the_cache_holds_waits_and_is_answered_the_same(tiny: Path, backend: Transformers) -> None:
    small = load(Load(tiny, device="cpu", kv_tokens=256))
    assert (small.limits.context_length, small.limits.kv_tokens) == (256, 256)
    wanted = [(prompt(90, at), GREEDY) for at in range(8)]
    assert Run(small, wanted).tokens == Run(backend, wanted).tokens
    assert small.usage().kv_used == 0


def test_a_context_that_was_asked_for_and_does_not_fit_the_cache_is_refused(tiny: Path) -> None:
    with pytest.raises(CheckpointError, match="room for 256 tokens, less than a context of 512"):
        load(Load(tiny, device="cpu", kv_tokens=256, context_length=512))


def test_a_reset_after_a_failed_step_makes_it_sound_again(
    backend: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Run(backend, [(prompt(30), GREEDY)]).tokens
    with monkeypatch.context() as patched:
        patched.setattr(backend._batch, "_generation_step", lambda model: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Run(backend, [(prompt(30), GREEDY), (prompt(600), GREEDY)])
    backend.reset()
    backend.prove()
    assert backend.usage().kv_used == 0
    assert Run(backend, [(prompt(30), GREEDY)]).tokens == expected
