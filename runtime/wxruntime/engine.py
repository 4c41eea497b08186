"""Who gets the model's next step: a bounded queue and one thread that answers its requests one after another.

The thread also loads the model, so the server answers /health from the first second. A failure that a fresh step of the
model does not survive ends the engine: the server then exits, and whoever supervises it starts a sound one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenizers import Tokenizer

from wxruntime.draws import Sampling
from wxruntime.generation import FinishReason, Generation
from wxruntime.metrics import Metrics
from wxruntime.text import AnswerText

log = logging.getLogger("wxruntime")

# Loading cannot be interrupted; the thread is a daemon, so the process ends all the same.
STOP_TIMEOUT_S = 5.0

State = Literal["loading", "ready", "failed", "stopped"]


class QueueFull(Exception):
    """As many requests wait as may wait."""


class NotReady(Exception):
    """The model is still loading, or the engine has ended."""


class Model(Protocol):
    """What the engine needs of a model; wxruntime.model.Ernie is one."""

    tokenizer: Tokenizer

    def encode(self, text: str) -> list[int]: ...

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]: ...

    def steps(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[int | None]:
        """A step an item: None for a piece of the prompt, else a token. Never ends by itself."""

    def prove(self) -> None:
        """Make one real token, or raise."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the engine is doing: `idle_s` is the time since it last got something done while it had work, else 0."""

    state: State
    running: int
    waiting: int
    steps: int
    idle_s: float


class Engine:
    """start(), then submit() from the event loop; `failure` says why it ended by itself."""

    def __init__(
        self,
        load: Callable[[], Model],
        stop_tokens: frozenset[int],
        metrics: Metrics,
        *,
        queue_size: int,
        on_failure: Callable[[], None],
    ) -> None:
        self._load, self._stop_tokens, self._metrics = load, stop_tokens, metrics
        self._queue_size, self._on_failure = queue_size, on_failure
        self._waiting: deque[Generation] = deque()
        self._changed = threading.Condition()
        self._state: State = "loading"
        self._model: Model | None = None
        self._running: Generation | None = None
        self._steps = 0
        self._last_step = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End within a step; the answers that are not finished are cancelled."""
        with self._changed:
            self._state = "stopped"
            for generation in self._waiting:
                generation.cancel()
            self._drop_departed()
            if self._running is not None:
                self._running.cancel()
            self._changed.notify()
        self._thread.join(timeout=STOP_TIMEOUT_S)

    def submit(self, prompt: list[int], sampling: Sampling) -> Generation:
        """Queue a request. Call from the event loop that will read it; raises QueueFull and NotReady."""
        generation = Generation(prompt, sampling)
        with self._changed:
            if self._state != "ready":
                raise NotReady
            self._drop_departed()
            if len(self._waiting) >= self._queue_size:
                self._metrics.rejected.inc()
                raise QueueFull
            self._waiting.append(generation)
            self._changed.notify()
        return generation

    def progress(self) -> Progress:
        with self._changed:
            self._drop_departed()
            running = int(self._running is not None)
            idle = time.monotonic() - self._last_step if running else 0.0
            return Progress(self._state, running, len(self._waiting), self._steps, idle)

    @property
    def model(self) -> Model:
        """The loaded model, for its tokenizer; raises NotReady before."""
        if self._model is None or self._state != "ready":
            raise NotReady
        return self._model

    def _drop_departed(self) -> None:
        """A client that left the queue makes room at once. The lock is held."""
        for generation in [waiting for waiting in self._waiting if waiting.cancelled]:
            self._waiting.remove(generation)
            self._end(generation, "cancelled")

    def _run(self) -> None:
        """The engine's thread."""
        try:
            self._model = self._load()
            self._become_ready()
            while (generation := self._next()) is not None:
                self._answer(self._model, generation)
        except Exception as error:
            self._fail(error)

    def _become_ready(self) -> None:
        with self._changed:
            if self._state == "loading":
                self._state = "ready"

    def _next(self) -> Generation | None:
        """The oldest waiting request, or None when the engine is stopped."""
        with self._changed:
            self._running = None
            while not self._waiting and self._state == "ready":
                self._changed.wait()
            if self._state != "ready":
                return None
            self._running, self._last_step = self._waiting.popleft(), time.monotonic()
            return self._running

    def _answer(self, model: Model, generation: Generation) -> None:
        generation.started_at = time.monotonic()
        try:
            self._end(generation, self._step_through(model, generation))
        except Exception:
            log.exception("the model failed while answering")
            self._end(generation, "error")
            model.prove()

    def _step_through(self, model: Model, generation: Generation) -> FinishReason:
        """Step until the answer ends, showing its text; returns why it ended."""
        text = AnswerText(model.tokenizer, generation.sampling.stop)
        steps = model.steps(generation.prompt, generation.sampling)
        while True:
            token = next(steps)
            self._steps, self._last_step = self._steps + 1, time.monotonic()
            if generation.cancelled:
                return "cancelled"
            if token is None:
                continue
            self._metrics.token(generation.made_token(), first=generation.completion_tokens == 1)
            if token in self._stop_tokens:
                generation.show(text.rest())
                return "stop"
            generation.show(text.push(token))
            if text.stopped:
                return "stop"
            if generation.completion_tokens == generation.sampling.max_tokens:
                generation.show(text.rest())
                return "length"

    def _end(self, generation: Generation, reason: FinishReason) -> None:
        self._metrics.finished(generation, reason)
        generation.finish(reason)
        usage, seconds = generation.usage, time.monotonic() - generation.submitted_at
        log.info("%s: %d tokens read, %d made, %.3f s", reason, usage.prompt_tokens, usage.completion_tokens, seconds)

    def _fail(self, error: Exception) -> None:
        """The model cannot be used any more: everyone who waits is told, and the server is asked to exit."""
        with self._changed:
            self._state, self.failure, self._running = "failed", error, None
            for generation in self._waiting:
                self._end(generation, "error")
            self._waiting.clear()
        self._on_failure()
