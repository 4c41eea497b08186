"""One request upstream for all clients who ask the same at the same time.

It flies by itself: the client for whom it was begun may leave, and it goes on for the others. When the last one has
left it is cancelled, and so is the work at the engine. A failure is everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from wxruntime.gateway.events import Splitter, is_usage
from wxruntime.gateway.exchange import Answer, Call, Refusal, Usage, error_event
from wxruntime.gateway.memory import Memory
from wxruntime.gateway.recorded import Recorded

# What an answer that is too large to be recorded may be ahead of the slowest of its readers.
AHEAD = 256 * 1024
EVENT = 48  # bytes that Python takes for an event beside its own


@dataclass(slots=True, eq=False)
class Seat:
    """A client's place in a flight: the events that it has read."""

    call: Call
    read: int = 0


class Flight:
    """`ask` is called once and gets a call of the flight's own; `landed` when all is over."""

    def __init__(
        self,
        call: Call,
        ask: Callable[[Flight], Awaitable[Answer]],
        landed: Callable[[Flight], None],
        memory: Memory,
        entry_bytes: int,
    ) -> None:
        self.call = replace(call, usage=Usage(), endings=[])
        self.found: Recorded | None = None  # an answer that was there after all, with another gateway
        self.joined = 0
        self.answer: Answer | None = None
        self.events: list[bytes] = []
        self.recording = True  # all events are still here
        self.good = False  # it ended as it should
        self._ask, self._landed, self._memory, self._entry_bytes = ask, landed, memory, entry_bytes
        self._dropped = 0  # events before the first of self.events
        self._held = 0
        self._reserved = 0
        self._failure: Exception | None = None
        self._over = False
        self._seats: list[Seat] = []
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._fly())

    @property
    def joinable(self) -> bool:
        return self.recording and not self._over and not self._task.cancelling()

    def join(self, call: Call) -> Seat:
        seat = Seat(call)
        self.joined += 1
        self._seats.append(seat)
        call.endings.append(lambda: self.leave(seat))
        return seat

    def leave(self, seat: Seat) -> None:
        """The client has what it wanted, or has gone. May be called twice."""
        if seat not in self._seats:
            return
        self._tell(seat.call)
        self._seats.remove(seat)
        if not self._over and not self._seats:
            _charge(seat.call, self.call.usage)  # what was made until now was made for the last one
            self._task.cancel()
        self._settle()
        self._pulse()

    async def ready(self, seat: Seat) -> Answer:
        """The answer, or the head of a stream's; raises what went wrong for everybody."""
        try:
            while self.answer is None and self._failure is None:
                await self._changed.wait()
        except asyncio.CancelledError:
            self.leave(seat)
            raise
        self._tell(seat.call)
        if self._failure is not None:
            raise self._failure
        assert self.answer is not None
        return self.answer

    async def stream(self, seat: Seat, *, usage: bool) -> AsyncGenerator[bytes, None]:
        """The events from the first one on, as they come, with the usage event or without."""
        try:
            while True:
                events = self.events[seat.read - self._dropped :]
                if events:
                    seat.read += len(events)
                    self._drop_read()
                    if piece := b"".join(events if usage else [each for each in events if not is_usage(each)]):
                        yield piece
                elif not self._over:
                    await self._changed.wait()
                else:
                    break
            self._tell(seat.call)
            if self._failure is not None:
                seat.call.outcome, seat.call.error = "broken", "upstream"
                yield error_event(502, "upstream", "the answer broke off")
        finally:
            self.leave(seat)

    async def _fly(self) -> None:
        try:
            answer = await self._ask(self)
            if answer.stream is None:
                self.answer, self.good = answer, True
            else:
                self.answer = Answer(answer.status, answer.headers)
                self._pulse()
                await self._follow(answer.stream)
        except asyncio.CancelledError:
            self._failure = Refusal(503, "going_down", "this gateway is going down, ask another one", retry_after=1)
            raise
        except Exception as error:
            self._failure = error
        finally:
            self._over = True
            try:
                for ending in self.call.endings:
                    ending()
                if self._seats:
                    _charge(self._seats[0].call, self.call.usage)
                self._landed(self)
            finally:  # nobody waits for what is over, whatever went wrong
                self._settle()
                self._pulse()

    async def _follow(self, stream: AsyncGenerator[bytes, None]) -> None:
        splitter = Splitter()
        async with aclosing(stream):
            async for piece in stream:
                for event in splitter.feed(piece):
                    self._take(event)
                self._pulse()
                while not self.recording and self._held > AHEAD:
                    await self._changed.wait()
        if rest := splitter.end():
            self._take(rest)
        self.good = True

    def _take(self, event: bytes) -> None:
        cost = len(event) + EVENT
        self.events.append(event)
        self._held += cost
        if not self.recording:
            return
        if self._held <= self._entry_bytes and self._memory.reserve(cost):
            self._reserved += cost
            return
        self.recording = False
        self._release()
        self._drop_read()

    def _drop_read(self) -> None:
        """Of an answer that is not recorded, only what somebody has yet to read is kept."""
        if self.recording or self._over:
            return
        count = min((seat.read for seat in self._seats), default=0) - self._dropped
        if count > 0:
            self._held -= sum(len(event) + EVENT for event in self.events[:count])
            del self.events[:count]
            self._dropped += count
            self._pulse()

    def _settle(self) -> None:
        """When all have read all, nothing is held any more."""
        if self._over and not self._seats:
            self._release()

    def _release(self) -> None:
        self._memory.release(self._reserved)
        self._reserved = 0

    def _pulse(self) -> None:
        self._changed.set()
        self._changed.clear()

    def _tell(self, call: Call) -> None:
        """What is known of the flight is known of the client's call, its tokens excepted."""
        own = self.call
        call.admitted, call.sent, call.attempts = own.admitted, own.sent, own.attempts
        call.replica, call.engine, call.outcome, call.error = own.replica, own.engine, own.outcome, own.error
        if own.first_byte is not None:
            call.first_byte = max(own.first_byte, call.received)
            call.last_byte = max(own.last_byte or own.first_byte, call.received)


def _charge(call: Call, usage: Usage) -> None:
    call.usage.prompt, call.usage.completion, call.usage.exact = usage.prompt, usage.completion, usage.exact
