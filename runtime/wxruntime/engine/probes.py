"""Whether the engine is worth sending requests to: a token that it really made, lately."""

from __future__ import annotations

import asyncio
import time

from wxruntime.engine.engine import Engine, NotReady
from wxruntime.engine.generation import GenerationFailed

# A token that is younger proves enough: under load a probe costs nothing, and idle one token in this time.
FRESH_S = 5.0
# How long a token may take on an engine that has nothing to do, or must share a step.
TIMEOUT_S = 10.0


class Readiness:
    """At most one probe is under way, however many ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._probe: asyncio.Task[bool] | None = None

    async def ready(self) -> bool:
        if time.monotonic() - self._engine.last_token_at < FRESH_S:
            return True
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._make_token())
        return await asyncio.shield(self._probe)

    async def _make_token(self) -> bool:
        """False when it does not come in time. Tokens of other answers count: the engine gets on."""
        asked = time.monotonic()
        try:
            generation = self._engine.probe()
        except NotReady:
            return False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async for _ in generation.pieces():
                    pass
        except (TimeoutError, GenerationFailed):
            return self._engine.last_token_at > asked
        finally:
            generation.cancel()
        return True
