"""How sure a small model was of its answer: the mean log-probability of its first tokens, before a client sees any."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from wxruntime.gateway.events import Splitter, data_of
from wxruntime.gateway.exchange import Answer, Call

Json = dict[str, Any]


def with_logprobs(call: Call) -> Call | None:
    """The call asking for the log-probability of each token; None where that cannot be asked.

    With echo it cannot: an engine would tell the prompt's tokens before the answer's, and say nothing of its own.
    """
    if call.route not in ("chat", "completion"):
        return None
    fields: Json = msgspec.json.decode(call.body)
    if fields.get("echo"):
        return None
    wanted = fields.get("logprobs")
    if wanted is not None and wanted is not False:  # the client wants them, too: nothing to ask, nothing to take out
        return call
    fields["logprobs"] = True if call.route == "chat" else 1
    return replace(call, body=msgspec.json.encode(fields), endings=[])


def logprobs_of(body: Json) -> list[float]:
    """Of the tokens of an answer or of a stream's chunk, in a chat's shape and in a completion's."""
    found: list[float] = []
    for choice in body.get("choices") or ():
        told = choice.get("logprobs") or {}
        found += [each["logprob"] for each in told.get("content") or ()]
        found += [each for each in told.get("token_logprobs") or () if each is not None]
    return found


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


class Heard:
    """The beginning of a local answer: how sure it is, and the answer to hand on if that is enough."""

    def __init__(self, answer: Answer, *, strip: bool) -> None:
        self.answer = answer
        self._strip = strip
        self._splitter = Splitter()
        self._events: list[bytes] = []
        self.logprobs: list[float] = []

    async def listen(self, tokens: int) -> float | None:
        """The mean over at most the first `tokens` tokens; None where the engine tells none."""
        if self.answer.stream is None:
            try:
                body: Json = msgspec.json.decode(self.answer.body)
                self.logprobs = logprobs_of(body)[:tokens]
            except (msgspec.DecodeError, AttributeError, LookupError, TypeError):
                return None
            if self._strip:
                self.answer = Answer(self.answer.status, self.answer.headers, msgspec.json.encode(_stripped(body)))
            return mean(self.logprobs)
        async for piece in self.answer.stream:
            for event in self._splitter.feed(piece):
                self._events.append(self._event(event))
            if len(self.logprobs) >= tokens:
                break
        return mean(self.logprobs[:tokens])

    def release(self) -> Answer:
        """The whole answer: what was heard, and the rest as it comes."""
        if self.answer.stream is not None:
            return Answer(self.answer.status, self.answer.headers, stream=self._rest(self.answer.stream))
        return self.answer

    async def drop(self) -> None:
        """Not wanted: the engine is told to stop."""
        if self.answer.stream is not None:
            await self.answer.stream.aclose()

    async def _rest(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(stream):
            if self._events:
                yield b"".join(self._events)
            async for piece in stream:
                if events := b"".join(map(self._event, self._splitter.feed(piece))):
                    yield events
            if rest := self._splitter.end():
                yield rest

    def _event(self, event: bytes) -> bytes:
        """Take down the log-probabilities of an event, and take them out where the client did not ask for them."""
        if b'"logprobs"' not in event:
            return event
        try:
            body: Json = msgspec.json.decode(data_of(event))
            self.logprobs += logprobs_of(body)
            return b"data: " + msgspec.json.encode(_stripped(body)) + b"\n\n" if self._strip else event
        except (msgspec.DecodeError, AttributeError, LookupError, TypeError):
            return event


def _stripped(body: Json) -> Json:
    for choice in body.get("choices") or ():
        if "logprobs" in choice:
            choice["logprobs"] = None
    return body
