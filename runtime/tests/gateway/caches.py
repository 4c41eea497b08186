"""Response caches for tests, and what a client sees of them."""

from __future__ import annotations

from typing import Any

from calls import Engine, call, header, read

from wxruntime.gateway.memory import Memory
from wxruntime.gateway.response_cache import ResponseCache


def made(**settings: Any) -> ResponseCache:
    memory = Memory(settings.pop("limit", 1_000_000))
    standard: dict[str, Any] = {"entry_bytes": 100_000, "ttl_seconds": 60, "by_client": True}
    return ResponseCache(memory, **(standard | {"revision": lambda _: "r1"} | settings))


async def asked(cache: ResponseCache, engine: Engine, *args: Any, **fields: Any) -> tuple[str | None, bytes]:
    """What X-Cache and the answer say."""
    answer = await cache(call(*args, **fields), engine)
    return header(answer, "x-cache"), await read(answer)
