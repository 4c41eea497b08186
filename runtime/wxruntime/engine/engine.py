"""The server's side of the backend: who is being answered, who is turned away, and whether it gets on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass, replace
from typing import Literal, cast

from tokenizers import Tokenizer

from wxruntime.backends.base import Limits, Logprob, Sequence, Usage
from wxruntime.engine.generation import Answer, FinishReason, Generation
from wxruntime.engine.link import Admit, Broken, Drop, Dropped, Ended, Message, Ready, Start, Stepped, Unpacker, pack
from wxruntime.engine.metrics import Metrics
from wxruntime.sampling import Sampling

log = logging.getLogger("wxruntime")

STOP_TIMEOUT_S = 5.0
# Sequences in a message to the backend's process: enough to make its cost small, few enough that the first of a burst
# are read while its last still arrive.
ADMIT_TOGETHER = 16

State = Literal["loading", "ready", "failed", "stopped"]


class QueueFull(Exception):
    """As many requests wait as may wait."""


class NotReady(Exception):
    """The model is still loading, or the engine has ended."""


class EngineFailed(Exception):
    """The backend cannot be used any more. `refused`: the checkpoint is to blame, and the message says why."""

    def __init__(self, why: str, refused: bool) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Progress:
    """What the engine is doing: `idle_s` is the time since it last got something done while it had work, else 0."""

    state: State
    running: int
    waiting: int
    steps: int
    idle_s: float


class Engine(asyncio.Protocol):
    """start(), then submit(); all of it in one event loop. `failure` says why it ended by itself."""

    def __init__(
        self, start: Start, tokenizer: Tokenizer, metrics: Metrics, *, queue_size: int, on_failure: Callable[[], None]
    ) -> None:
        self._start, self._tokenizer, self._metrics = start, tokenizer, metrics
        self._queue_size, self._on_failure = queue_size, on_failure
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._unpacker = Unpacker()
        self._answers: dict[int, Answer] = {}
        self._waiting: dict[int, Answer] = {}  # those of them that have not begun
        self._admitted: list[Sequence] = []  # of which the backend's process has not been told
        self._last_id = 0
        self._state: State = "loading"
        self._steps = 0
        self._last_step = time.monotonic()
        self.last_token_at = 0.0
        self.usage = Usage()
        self.limits: Limits | None = None
        self.failure: EngineFailed | None = None

    async def start(self) -> None:
        """Begin to load the backend, in a process of its own."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "wxruntime.engine.core", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        await self.connect(ours)
        self._tell(self._start)

    async def connect(self, connection: socket.socket) -> None:
        """To a core that somebody else runs."""
        await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)

    async def stop(self) -> None:
        """End at once; the answers that are not finished are cancelled."""
        self._state = "stopped"
        self._end_all("cancelled")
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)

    def submit(
        self, prompt: List[int], samplings: List[Sampling], stop: tuple[str, ...] = (), *, silent: bool = False
    ) -> Generation:
        """An answer for each of `samplings`; raises QueueFull and NotReady. silent: the answers are of no token."""
        if self._state != "ready" or self.limits is None:
            raise NotReady
        if len(self._answers) + len(samplings) > self.limits.max_sequences + self._queue_size:
            self._metrics.rejected.inc()
            raise QueueFull
        if not self._answers:
            self._last_step = time.monotonic()  # from now on there is work to get on with
        return self._submit(prompt, samplings, stop, silent=silent)

    def probe(self) -> Generation:
        """An answer of one token, past the queue; raises NotReady."""
        if self._state != "ready":
            raise NotReady
        if not self._answers:
            self._last_step = time.monotonic()
        return self._submit([0], [Sampling(max_tokens=1, temperature=0)], (), counted=False)

    def _submit(
        self,
        prompt: List[int],
        samplings: List[Sampling],
        stop: tuple[str, ...],
        *,
        counted: bool = True,
        silent: bool = False,
    ) -> Generation:
        first = self._last_id + 1
        self._last_id += len(samplings)
        sequences = [Sequence(first + index, prompt, sampling) for index, sampling in enumerate(samplings)]
        generation = Generation(sequences, stop, self._tokenizer, self._finish, counted=counted, silent=silent)
        for answer in generation.answers:
            self._answers[answer.sequence.id] = self._waiting[answer.sequence.id] = answer
        self._admit(sequences)
        return generation

    def _admit(self, sequences: List[Sequence]) -> None:
        """Requests that came together are told together: a message costs as much time as reading a request does."""
        if not self._admitted:
            asyncio.get_running_loop().call_soon(self._tell_admitted)
        self._admitted += sequences
        if len(self._admitted) >= ADMIT_TOGETHER:
            self._tell_admitted()

    def _tell_admitted(self) -> None:
        if self._admitted:
            admitted, self._admitted = tuple(self._admitted), []
            self._write(Admit(admitted))

    def progress(self) -> Progress:
        idle = time.monotonic() - self._last_step if self._answers and self._state == "ready" else 0.0
        running = len(self._answers) - len(self._waiting)
        return Progress(self._state, running, len(self._waiting), self._steps, idle)

    @property
    def room(self) -> int:
        """Most answers at once, running and waiting."""
        return (self.limits.max_sequences if self.limits else 0) + self._queue_size

    # What the socket tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        for message in self._unpacker.feed(data):
            self._heard(message)

    def connection_lost(self, error: Exception | None) -> None:
        if self._state not in ("loading", "ready"):
            return
        status: int | str = "unknown"
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it has closed its end, so it is all but over
                status = self._process.wait(timeout=1)
        self._fail(EngineFailed(f"the backend's process ended with status {status}", refused=False))

    def _heard(self, message: Message) -> None:
        match message:
            case Stepped():
                self._stepped(message)
            case Ready():
                self.limits = message.limits
                if self._state == "loading":
                    self._state = "ready"
                    log.info("ready: %s", message.limits)
            case Dropped():
                self.usage = message.usage
                self._metrics.usage = message.usage
            case Broken():
                self.usage = message.usage
                self._metrics.usage = message.usage
                for id_ in message.ids:
                    if answer := self._answers.get(id_):
                        self._finish(answer, "error")
            case Ended():
                self._fail(EngineFailed(message.why, message.refused))

    def _stepped(self, message: Stepped) -> None:
        step, now, answers = message.step, message.at, self._answers
        self._steps += 1
        self._last_step = now
        self.usage = message.usage
        for id_, cached in step.started:
            if answer := self._waiting.pop(id_, None):
                answer.started_at, answer.cached = now, cached
        for id_, told in step.prompt_logprobs.items():
            if answer := answers.get(id_):
                answer.prompt_logprobs += told
        logprobs: dict[int, Logprob] = step.logprobs
        gaps: dict[float, int] = {}
        made = 0
        for at, (id_, token) in enumerate(step.tokens):
            answer = answers.get(id_)
            if answer is None:
                continue  # dropped while the step was under way
            answer.made(token, logprobs.get(at) if logprobs else None)
            if answer.first_token_at is None:
                answer.first_token_at = now
                if answer.counted:
                    self._metrics.first_token(now - answer.submitted_at)
                    made += 1
            else:
                gaps[answer.last_token_at] = gaps.get(answer.last_token_at, 0) + 1
                made += 1
            answer.last_token_at = now
            answer.generation.news(answer)
        if step.tokens:
            self.last_token_at = now
        self._metrics.stepped(made, step.processed, {now - last: count for last, count in gaps.items()}, self.usage)
        for id_, reason in step.finished:
            if answer := answers.get(id_):
                self._finish(answer, reason)

    # How an answer ends.

    def _finish(self, answer: Answer, reason: FinishReason) -> None:
        if answer.finish_reason is not None:
            return
        answer.finish_reason = reason
        id_ = answer.sequence.id
        del self._answers[id_]
        self._waiting.pop(id_, None)
        if answer.counted:
            self._metrics.finished(answer, reason)
            self._log(answer, reason)
        if reason == "cancelled" or answer.text.stopped:
            self._tell(Drop((id_,)))
        answer.generation.news(answer)

    def _log(self, answer: Answer, reason: FinishReason) -> None:
        """How much, never what."""
        seconds, read = time.monotonic() - answer.submitted_at, answer.generation.prompt_tokens
        log.info("%s: %d tokens read, %d made, %.3f s", reason, read, answer.completion_tokens, seconds)

    def _end_all(self, reason: FinishReason) -> None:
        for answer in list(self._answers.values()):
            self._finish(answer, reason)

    def _fail(self, failure: EngineFailed) -> None:
        """The backend is gone: everyone who waits is told, and the server is asked to exit."""
        if self._state in ("failed", "stopped"):
            return
        self._state, self.failure = "failed", failure
        self._end_all("error")
        self._on_failure()

    def _tell(self, message: Message) -> None:
        self._tell_admitted()  # what came first: a Drop may be for one of them
        self._write(message)

    def _write(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(message))


def for_choices(sampling: Sampling, n: int) -> list[Sampling]:
    """The samplings of `n` answers to one prompt: the first is the one that `n` = 1 would give."""
    return [sampling, *(replace(sampling, seed=sampling.seed + index) for index in range(1, n))]
