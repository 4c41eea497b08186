"""The workloads, and how a stage tells a figure: a line of JSON at once, so that a stage cut short has told some."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

VOCABULARY = 103424
# Sequences at once, tokens in, tokens out.
SHORT = [(1, 128, 128), (16, 128, 128), (64, 128, 128), (256, 128, 128)]
LONG = [(1, 1024, 1024), (16, 1024, 1024), (64, 1024, 1024), (256, 1024, 1024)]
CHECK = "prompt logprobs off"

_random = random.Random(1)


def prompt(tokens: int) -> list[int]:
    """Fresh random ids: no two share a prefix."""
    return [_random.randrange(3, VOCABULARY) for _ in range(tokens)]


def tell(engine: str, model: str, what: str, **figures: float | int | str) -> None:
    print("FIG", json.dumps({"engine": engine, "model": model, "what": what, **figures}), flush=True)


def name(point: tuple[int, int, int]) -> str:
    batch, prompt, made = point
    return f"{batch} x {prompt} -> {made}"


def median(measure: Callable[[], float], times: int) -> float:
    return sorted(measure() for _ in range(times))[times // 2]
