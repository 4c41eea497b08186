"""What engines tell of their load now: /load where they have it, else /metrics in vLLM's names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from math import ceil
from urllib.request import ProxyHandler, build_opener

from wxruntime.profile.model import Load, Profile
from wxruntime.sizing import Shape

TIMEOUT_S = 10.0
_METRIC = re.compile(r"^(?:\w+:)?num_requests_(running|waiting)(?:\{[^\n]*\})? (\S+)", re.M)


class NotTold(Exception):
    """An engine that says nothing of its load; the message names it."""


@dataclass(frozen=True)
class Seen:
    """One engine at one moment. cached: tokens in its KV cache, where it tells."""

    running: int
    waiting: int
    cached: float | None = None


def look(url: str) -> Seen:
    """Raises NotTold."""
    try:
        told = json.loads(_get(f"{url}/load"))
        cached = float(told["kv_usage"]) * float(told["kv_tokens"])
        return Seen(int(told["running"]), int(told["waiting"]), cached)
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        pass  # not one of ours
    try:
        counts = {"running": 0.0, "waiting": 0.0}
        found = _METRIC.findall(_get(f"{url}/metrics").decode())
        for name, value in found:
            counts[name] += float(value)
    except (OSError, HTTPException, ValueError) as error:
        raise NotTold(f"{url} tells its load neither at /load nor at /metrics: {error}") from None
    if not found:
        raise NotTold(f"{url} has no /load, and at /metrics nothing of requests that run")
    return Seen(round(counts["running"]), round(counts["waiting"]))


def busiest(samples: Sequence[Sequence[Seen]]) -> Sequence[Seen]:
    """Of several looks at all engines, the one with the most requests."""
    return max(samples, key=lambda seen: sum(each.running + each.waiting for each in seen))


def load_of(seen: Sequence[Seen], profile: Profile, shape: Shape) -> Load:
    """That of one replica: sequences that run or wait, shared out evenly, and their length in tokens.

    The length is what the caches hold, by sequence that runs (with prefixes that are shared or kept it is an upper
    bound), where the engines tell it; else the profile's `load`, or its whole context.
    """
    longest = profile.max_model_len or shape.max_context
    running = sum(each.running for each in seen if each.cached is not None)
    cached = sum(each.cached for each in seen if each.cached is not None)
    tokens = ceil(cached / running) if running and cached else profile.load.tokens if profile.load else longest
    sequences = ceil(sum(each.running + each.waiting for each in seen) / len(seen))
    return Load(sequences=max(1, sequences), tokens=min(max(1, tokens), longest))


def _get(url: str) -> bytes:
    with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read()
    return body
