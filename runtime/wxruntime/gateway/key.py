"""Which requests may be answered from the cache, and the key under which: equal only where the answers must be.

The key is a digest of everything that can change an answer: path, model and its revision, every field of the body with
its exact value, and the client, unless clients share. What does not change an answer is left out by name, field by
field, so a field that nobody here has heard of counts.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Json = dict[str, Any]

# Read by no engine when it makes tokens: vLLM, FastDeploy and wxruntime use `user` for nothing but accounts.
LEFT_OUT = ("user",)


class NotCacheable(Exception):
    """Why a request has no key, in a few words."""


def parse(body: bytes) -> Json:
    """The body as every JSON parser reads it. NotCacheable where parsers may differ, for the engine's then decides."""
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise NotCacheable("not plain JSON") from None
    if not isinstance(parsed, dict):
        raise NotCacheable("not an object")
    return parsed


def judge(asked: Json, *, embedding: bool = False, insisted: bool = False) -> None:
    """NotCacheable unless the same answer is right when the same is asked again.

    insisted: the client wants it cached although the engine may answer otherwise each time.
    """
    if _urls(asked.get("messages")):
        raise NotCacheable("it refers to something outside")  # which may change, or be changed
    if not (embedding or insisted or _deterministic(asked)):
        raise NotCacheable("not deterministic")


def digest(asked: Json, *, path: str, model: str, revision: str, tenant: str | None) -> bytes:
    """32 bytes. tenant: whose answers these are; None where all clients share them."""
    body = {name: value for name, value in asked.items() if name not in LEFT_OUT}
    # A stream and a whole answer are two forms of one answer, except where tool calls are parsed out of the text:
    # engines have one parser for either form, and the two do not always agree.
    if not (asked.get("tools") or asked.get("functions")):
        body.pop("stream", None)
    options = body.get("stream_options")
    if isinstance(options, dict):
        body["stream_options"] = {name: value for name, value in options.items() if name != "include_usage"}
    if not body.get("stream_options"):
        body.pop("stream_options", None)
    whose = ["shared"] if tenant is None else ["tenant", tenant]
    try:
        text = json.dumps([1, whose, path, model, revision, body], sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError):
        raise NotCacheable("a number is out of bounds") from None
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


def _deterministic(asked: Json) -> bool:
    """Temperature 0, said and not implied: an omitted one is the engine's default, often 1. Or a seed.

    A seed below 0 means a random one to some engines.
    """
    temperature, seed = asked.get("temperature"), asked.get("seed")
    if isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0:
        return True
    return isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0


def _urls(messages: Any) -> list[str]:
    """Where messages point to, other than into themselves."""
    found = []
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict) or part.get("type") in ("text", "refusal"):
                continue
            for value in part.values():
                url: Any = value.get("url") if isinstance(value, dict) else value
                if isinstance(url, str) and ":" in url and not url.startswith("data:"):
                    found.append(url)
    return found


def _object(pairs: list[tuple[str, Any]]) -> Json:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field is there twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
