"""The paged backend without a server: `ours.py s|m [--fp8]`. Random weights, made on the card."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from points import LONG, SHORT, median, name, prompt, tell
from shapes import CONTEXT, options, tensors
from transformers import Ernie4_5Config
from watched import step_ms

from wxruntime.backends.base import Load, Sequence
from wxruntime.backends.paged import build
from wxruntime.paged.loop import Paged
from wxruntime.paged.weights import gather
from wxruntime.sampling import Sampling

_ids = iter(range(1, 1 << 30))


def random_weight(size: tuple[int, ...]) -> torch.Tensor:
    if len(size) == 1:
        return torch.ones(size, device="cuda", dtype=torch.bfloat16)
    return torch.empty(size, device="cuda", dtype=torch.bfloat16).normal_(0, 0.02)


def run(paged: Paged, batch: int, tokens: int, made: int, prompts: list[list[int]] | None = None) -> float:
    """Seconds from the first request to the last token."""
    return timed(paged, batch, tokens, made, prompts)[0]


def timed(
    paged: Paged, batch: int, tokens: int, made: int, prompts: list[list[int]] | None = None
) -> tuple[float, dict[str, float]]:
    """That, and what the server notes of itself (watched.py)."""
    asked = prompts or [prompt(tokens) for _ in range(batch)]
    sequences = [Sequence(next(_ids), each, Sampling(made, temperature=0)) for each in asked]
    torch.cuda.synchronize()
    began = time.perf_counter()
    paged.admit(sequences)
    left, told, read = batch, 0, 0.0
    steps: list[float] = []
    while left:
        step = paged.step()
        if step.tokens:
            steps.append(time.perf_counter())
        if step.started:
            read = time.perf_counter()
        told += len(step.tokens)
        left -= len(step.finished)
    took = time.perf_counter() - began
    assert told == batch * made, (told, batch, made)
    return took, {"prompts_read_ms": 1e3 * (read - began), "step_ms": step_ms(steps, read), "end_ms": 1e3 * took}


def main(model: str, fp8: bool) -> None:
    torch.manual_seed(0)
    tag = f"{model} {'FP8' if fp8 else 'bf16'}"
    config = Ernie4_5Config(**options(model))
    began = time.perf_counter()
    sizes = tensors(model)
    weights = gather(lambda each: random_weight(sizes[each]) if each in sizes else None, config, fp8)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    held = torch.cuda.memory_allocated()
    paged = build(config, weights, Load(model=Path(), context_length=CONTEXT))
    paged.prove()
    cache = paged.model.cache.numel() * paged.model.cache.element_size()
    run(paged, 4, 128, 8)
    run(paged, 256, 128, 4)
    tell("ours", tag, "start", s=time.perf_counter() - began)
    for tokens in (128, 1024):
        tell("ours", tag, f"{tokens} -> 1", ms=1e3 * median(lambda n=tokens: run(paged, 1, n, 1), 7))
    cold = median(lambda: run(paged, 1, 4096, 1), 5)
    long = prompt(4096)
    run(paged, 1, 4096, 1, [long])
    cached = median(lambda: run(paged, 1, 4096, 1, [long]), 5)
    tell("ours", tag, "4096 -> 1, cold", ms=1e3 * cold)
    tell("ours", tag, "4096 -> 1, prefix in the pool", ms=1e3 * cached)
    for point in SHORT + LONG:
        batch, tokens, made = point
        runs = [timed(paged, *point) for _ in range(1 if made >= 1024 else 5 if model == "s" else 2)]
        took, stages = min(runs, key=lambda each: each[0])
        tell("ours", tag, name(point), tok_s=batch * made / took, **stages)
    held_most = torch.cuda.max_memory_reserved() - cache
    tell("ours", tag, "memory", weights_GiB=held / 2**30, without_cache_GiB=held_most / 2**30, cache_GiB=cache / 2**30)


main(sys.argv[1], "--fp8" in sys.argv)
