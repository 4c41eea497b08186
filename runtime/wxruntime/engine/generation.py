"""One request on its way through the engine: its answers, how far each is, and the text that has come so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

from tokenizers import Tokenizer

from wxruntime.backends.base import Logprob, Sequence
from wxruntime.text import AnswerText

FinishReason = Literal["stop", "length", "cancelled", "error"]


class GenerationFailed(Exception):
    """The answer did not come to its end."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and made. cached: how many of those read came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached: int = 0


@dataclass(slots=True)
class Piece:
    """What has become visible of one answer: text, the tokens that it was made of, and, at its end, why it ended.

    prompt: in the first piece, how likely the prompt's tokens were, all but its first, where that is asked for.
    """

    index: int
    text: str
    tokens: list[tuple[int, Logprob]]
    reason: FinishReason | None
    first: bool
    prompt: list[Logprob] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Answer:
    """One of a request's answers. Times are seconds of time.monotonic()."""

    index: int
    sequence: Sequence
    text: AnswerText
    generation: Generation
    submitted_at: float
    counted: bool = True  # in the metrics; a probe's is not
    silent: bool = False  # nothing is answered: the one token that a backend makes at least is nobody's
    started_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float = 0.0
    cached: int = 0
    completion_tokens: int = 0
    finish_reason: FinishReason | None = None
    prompt_logprobs: list[Logprob] = field(default_factory=list)
    _fresh: list[int] = field(default_factory=list)
    _logprobs: list[Logprob] = field(default_factory=list)
    _shown: bool = False
    _told: bool = False  # that it has ended

    def made(self, token: int, logprob: Logprob | None) -> None:
        """A token has come; its text is found when somebody reads it."""
        if self.silent:
            return
        self.completion_tokens += 1
        self._fresh.append(token)
        if logprob is not None:
            self._logprobs.append(logprob)

    def read(self) -> Piece | None:
        """What is new, if that is anything to show. Ends the answer where a stop string has come."""
        fresh, self._fresh = self._fresh, []
        logprobs, self._logprobs = self._logprobs, []
        if self._told or (not fresh and self.finish_reason is None):
            return None
        came, told = len(fresh), fresh
        if self.finish_reason == "stop":
            fresh = fresh[:-1]  # the stop token itself is not part of the text
            if self.sequence.sampling.prompt_logprobs is None:
                told = fresh  # after a prompt's tokens it is told, as in vLLM: harnesses count all that was drawn
        visible = ""
        for at, token in enumerate(fresh, 1):
            visible += self.text.push(token)
            if self.text.stopped:
                self.completion_tokens -= came - at
                told = fresh[:at]
                self.generation.stopped(self)
                self.finish_reason = "stop"  # also where max_tokens came with it
                break
        if self.finish_reason is not None:
            visible += self.text.rest()
            self._told = True
        first, self._shown = not self._shown, True
        if not (visible or first or self.finish_reason or logprobs):
            return None
        tokens = list(zip(told, logprobs, strict=False))
        return Piece(self.index, visible, tokens, self.finish_reason, first, self.prompt_logprobs if first else [])


class Generation:
    """Made by Engine.submit in the event loop, where all of it happens; read with `async for` over pieces()."""

    def __init__(
        self,
        sequences: list[Sequence],
        stop: tuple[str, ...],
        tokenizer: Tokenizer,
        end: Callable[[Answer, FinishReason], None],
        *,
        counted: bool = True,
        silent: bool = False,
    ) -> None:
        self._end, now = end, time.monotonic()
        self.prompt_tokens = len(sequences[0].prompt)
        self.answers = [
            Answer(index, sequence, AnswerText(tokenizer, stop), self, now, counted, silent)
            for index, sequence in enumerate(sequences)
        ]
        self._unread = set(range(len(sequences)))  # indices of the answers whose end nobody has read
        self._news: list[Answer] = []
        self._reader: asyncio.Future[None] | None = None

    @property
    def usage(self) -> Usage:
        made = sum(answer.completion_tokens for answer in self.answers)
        return Usage(self.prompt_tokens, made, max(answer.cached for answer in self.answers))

    @property
    def over(self) -> bool:
        """Whether pieces() has given all there will ever be."""
        return not self._unread

    def cancel(self) -> None:
        """Its sequences leave the batch before the next step. Harmless when it has finished."""
        for answer in self.answers:
            self._end(answer, "cancelled")

    def stopped(self, answer: Answer) -> None:
        """A stop string has come."""
        self._end(answer, "stop")

    def news(self, answer: Answer) -> None:
        """`answer` has something to read."""
        self._news.append(answer)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def pieces(self) -> AsyncIterator[list[Piece]]:
        """What has become visible since the last time; several tokens together where the reader is slow."""
        while self._unread:
            if not self._news:
                self._reader = asyncio.get_running_loop().create_future()
                await self._reader
            news, self._news = self._news, []
            pieces = []
            for answer in dict.fromkeys(news) if len(news) > 1 else news:
                piece = answer.read()
                if piece is None:
                    continue
                if piece.reason == "error":
                    raise GenerationFailed("the model failed while answering; the server's log has the cause")
                if piece.reason == "cancelled":
                    raise GenerationFailed("the answer was cancelled")
                if piece.reason is not None:
                    self._unread.discard(answer.index)
                pieces.append(piece)
            if pieces:
                yield pieces
