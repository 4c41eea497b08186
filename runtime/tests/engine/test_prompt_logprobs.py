"""A prompt's own tokens are as likely as a plain forward pass finds them, whoever shares the batch and the cache."""

from __future__ import annotations

from collections.abc import Sequence as List
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from wxruntime.backends import prompt_logprobs
from wxruntime.backends.base import Load, Logprob, Sequence
from wxruntime.backends.transformers import CPU_BATCH_TOKENS, CPU_PAGE, Transformers, load
from wxruntime.sampling import Sampling

# Within a page, over pages, and in several pieces of a step.
LENGTHS = (1, 2, 5 * CPU_PAGE, CPU_BATCH_TOKENS, CPU_BATCH_TOKENS + 1, 2 * CPU_BATCH_TOKENS + 7)
TOLD = Sampling(max_tokens=3, temperature=0, logprobs=2, prompt_logprobs=2)
PLAIN = Sampling(max_tokens=20, temperature=0)


def prompt(length: int, seed: int = 1) -> list[int]:
    return torch.randint(6, 400, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


class Run:
    """Sequences stepped to their ends."""

    numbers = iter(range(1, 1_000_000))

    def __init__(self, backend: Transformers, *wanted: tuple[list[int], Sampling]) -> None:
        sequences = [Sequence(next(self.numbers), *each) for each in wanted]
        place = {sequence.id: at for at, sequence in enumerate(sequences)}
        self.told: list[list[Logprob]] = [[] for _ in wanted]
        self.tokens: list[list[int]] = [[] for _ in wanted]
        self.cached = [0] * len(wanted)
        backend.admit(sequences)
        left = set(place)
        while left:
            step = backend.step()
            for id_, cached in step.started:
                self.cached[place[id_]] = cached
            for id_, told in step.prompt_logprobs.items():
                assert not self.tokens[place[id_]], "told after the first token"
                self.told[place[id_]] += told
            for id_, token in step.tokens:
                self.tokens[place[id_]].append(token)
            left -= {id_ for id_, _ in step.finished}


class Reference:
    """transformers' own forward pass in float32."""

    def __init__(self, directory: Path) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)

    def agrees(self, tokens: List[int], told: list[Logprob], top: int = 2) -> None:
        with torch.inference_mode():
            expected = self._model(torch.tensor([tokens])).logits[0, :-1].log_softmax(-1)
        assert len(told) == len(tokens) - 1
        for row, (token, each) in enumerate(zip(tokens[1:], told, strict=True)):
            values = expected[row].topk(top).values.tolist()
            assert each.chosen == pytest.approx(float(expected[row, token]), abs=1e-4)
            assert [value for _, value in each.top] == pytest.approx(values, abs=1e-4)
            assert [float(expected[row, other]) for other, _ in each.top] == pytest.approx(values, abs=1e-4)


@pytest.fixture(scope="module")
def backend(tiny: Path) -> Transformers:
    return load(Load(tiny, device="cpu"))


@pytest.fixture(scope="module")
def reference(tiny: Path) -> Reference:
    return Reference(tiny)


def test_alone_and_in_a_batch_they_are_those_of_a_plain_forward_pass(
    backend: Transformers, reference: Reference
) -> None:
    asked = [(prompt(length, seed), TOLD) for seed, length in enumerate(LENGTHS)]
    others = [(prompt(30 + seed, seed), PLAIN) for seed in range(90, 94)]
    together = Run(backend, *others[:2], *asked, *others[2:])
    assert together.told[:2] == together.told[-2:] == [[], []]
    for at, each in enumerate(asked, 2):
        reference.agrees(each[0], together.told[at])
        alone = Run(backend, each)
        reference.agrees(each[0], alone.told[0])
        assert alone.tokens[0] == together.tokens[at]
    for at, each in zip((0, 1, -2, -1), others, strict=True):
        assert Run(backend, each).tokens[0] == together.tokens[at]


def test_a_mixture_of_experts_tells_them_too(moe: Path) -> None:
    backend, reference = load(Load(moe, device="cpu")), Reference(moe)
    asked = [(prompt(40, 1), TOLD), (prompt(CPU_BATCH_TOKENS + 9, 2), TOLD)]
    for (tokens, _), told in zip(asked, Run(backend, *asked).told, strict=True):
        reference.agrees(tokens, told)


def test_what_the_prefix_cache_holds_is_read_anew_and_still_shared_with_others(
    tiny: Path, reference: Reference
) -> None:
    backend, asked = load(Load(tiny, device="cpu")), prompt(100, 7)
    assert Run(backend, (asked, PLAIN)).cached == [0]
    before = backend.usage()
    again = Run(backend, (asked, TOLD))
    reference.agrees(asked, again.told[0])
    assert again.cached == [0]
    assert backend.usage().prefix_queries == before.prefix_queries, "it looked for a prefix"
    assert Run(backend, ([*asked, 7], PLAIN)).cached == [100 // CPU_PAGE * CPU_PAGE]
    assert backend.usage().kv_used == 0


def test_logits_are_made_in_pieces_of_a_bounded_size(
    backend: Transformers, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, rows = backend._model.lm_head, []
    monkeypatch.setattr(prompt_logprobs, "CHUNK_BYTES", 7 * 4 * backend._model.config.vocab_size)
    hook = head.register_forward_hook(lambda _, given, __: rows.append(given[0].shape[-2]))
    told = Run(backend, (prompt(700, 3), TOLD)).told[0]
    hook.remove()
    assert max(rows) == 7 and sum(rows) >= 699
    reference.agrees(prompt(700, 3), told)


def test_who_is_set_back_for_want_of_memory_is_told_everything_once(
    tiny: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = load(Load(tiny, device="cpu", kv_tokens=256))
    manager, set_back = small._batch.offloading_manager, []
    offload = manager.offload_requests
    monkeypatch.setattr(manager, "offload_requests", lambda: (set_back.append(1), offload())[1])
    asked = [(prompt(90, seed), Sampling(max_tokens=40, temperature=0, prompt_logprobs=0)) for seed in range(6)]
    for (tokens, _), told in zip(asked, Run(small, *asked).told, strict=True):
        reference.agrees(tokens, told, top=0)
    assert set_back, "the memory was enough: the test shows nothing"
    assert small.usage().kv_used == 0


def test_who_is_dropped_while_the_prompt_is_told_leaves_nothing(backend: Transformers) -> None:
    backend.admit([Sequence(-5, prompt(3 * CPU_BATCH_TOKENS, 4), TOLD)])
    assert len(backend.step().prompt_logprobs[-5]) == CPU_BATCH_TOKENS
    backend.drop([-5])
    assert backend.usage().kv_used == 0
    assert not backend._drawing.scored and not backend._drawing.running and not backend._drawing.looks
