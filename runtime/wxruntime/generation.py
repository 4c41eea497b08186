"""One request on its way through the engine: what it asks, how far it is, and the text that has come so far."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from wxruntime.draws import Sampling

FinishReason = Literal["stop", "length", "cancelled", "error"]


class GenerationFailed(Exception):
    """The answer did not come to its end."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and made."""

    prompt_tokens: int
    completion_tokens: int


class Generation:
    """Made in the event loop by Engine.submit, stepped by the engine's thread, read with `async for` over deltas().

    The times are seconds of time.monotonic().
    """

    def __init__(self, prompt: list[int], sampling: Sampling) -> None:
        self.prompt, self.sampling = prompt, sampling
        self.completion_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.submitted_at = time.monotonic()
        self.started_at: float | None = None
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None
        self._cancelled = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._deltas: asyncio.Queue[str | None] = asyncio.Queue()

    @property
    def usage(self) -> Usage:
        return Usage(len(self.prompt), self.completion_tokens)

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask for an end: within one step when running, at its turn when waiting. Harmless when it has finished."""
        self._cancelled.set()

    async def deltas(self) -> AsyncIterator[str]:
        """The answer's text in the pieces in which it comes."""
        while (delta := await self._deltas.get()) is not None:
            yield delta
        if self.finish_reason == "error":
            raise GenerationFailed("the model failed while answering; the server's log has the cause")
        if self.finish_reason == "cancelled":
            raise GenerationFailed("the answer was cancelled")

    async def text(self) -> str:
        return "".join([delta async for delta in self.deltas()])

    def made_token(self) -> float:
        """Count a token; the seconds since the one before, for the first since submission. Engine's thread."""
        now = time.monotonic()
        gap = now - (self.last_token_at or self.submitted_at)
        self.first_token_at, self.last_token_at = self.first_token_at or now, now
        self.completion_tokens += 1
        return gap

    def show(self, delta: str) -> None:
        """Called in the engine's thread."""
        if delta:
            self._hand_over(delta)

    def finish(self, reason: FinishReason) -> None:
        """Called in the engine's thread, last."""
        self.finish_reason = reason
        self._hand_over(None)

    def _hand_over(self, item: str | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deltas.put_nowait, item)
