"""A backend that says what it is told to, and an engine over it whose core is a thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from collections.abc import Sequence as List
from pathlib import Path

from tokenizers import Tokenizer

from wxruntime.backends.base import Backend, Limits, Load, Sequence, Step, Usage
from wxruntime.engine.core import Core
from wxruntime.engine.engine import Engine
from wxruntime.engine.link import Start, received
from wxruntime.engine.metrics import Metrics

MODEL = "tiny"


class Scripted:
    """Answers every prompt with `script`, again and again: a token a step, `limits.max_sequences` at once.

    fault is called before each step; gate, where it is set, lets one step pass for each release.
    """

    gather_s = 0.0

    def __init__(self, script: List[int], max_sequences: int = 4) -> None:
        self.limits = Limits(context_length=1000, max_sequences=max_sequences, kv_tokens=4000)
        self.script = script
        self.fault: Callable[[], object] = lambda: None
        self.prove_fault: Callable[[], object] = lambda: None
        self.gate: threading.Semaphore | None = None
        self.waiting: list[Sequence] = []
        self.running: dict[int, tuple[Sequence, int]] = {}
        self.stepped: list[list[int]] = []  # ids of each step

    def prove(self) -> None:
        self.prove_fault()

    def admit(self, sequences: List[Sequence]) -> None:
        self.waiting += sequences

    def drop(self, ids: List[int]) -> None:
        self.waiting = [sequence for sequence in self.waiting if sequence.id not in ids]
        for id_ in ids:
            self.running.pop(id_, None)

    def step(self) -> Step:
        self.fault()
        if self.gate is not None:
            self.gate.acquire()
        step = Step()
        while self.waiting and len(self.running) < self.limits.max_sequences:
            sequence = self.waiting.pop(0)
            self.running[sequence.id] = sequence, 0
            step.started.append((sequence.id, 0))
        self.stepped.append(list(self.running))
        for id_, (sequence, made) in list(self.running.items()):
            token = self.script[made % len(self.script)]
            step.tokens.append((id_, token))
            self.running[id_] = sequence, made + 1
            if token in sequence.sampling.stop_tokens or made + 1 == sequence.sampling.max_tokens:
                step.finished.append((id_, "stop" if token in sequence.sampling.stop_tokens else "length"))
                del self.running[id_]
        step.processed = len(step.tokens)
        return step

    def usage(self) -> Usage:
        return Usage(len(self.running) / self.limits.max_sequences)

    def reset(self) -> None:
        self.waiting, self.running = [], {}

    def close(self) -> None:
        """There is nothing to give back."""


@contextlib.asynccontextmanager
async def engine_over(
    backend: Backend, tokenizer: Tokenizer, *, queue_size: int = 4, on_failure: Callable[[], None] = lambda: None
) -> AsyncIterator[Engine]:
    """A ready engine; the thread of its core has ended when this does."""
    ours, theirs = socket.socketpair()
    core = Core(theirs, lambda: backend)

    def read() -> None:
        with contextlib.suppress(OSError):
            for message in received(theirs):
                core.deliver(message)
        core.deliver(None)

    threads = [threading.Thread(target=each, daemon=True) for each in (core.run, read)]
    for thread in threads:
        thread.start()
    engine = Engine(Start("", Load(Path())), tokenizer, Metrics(MODEL), queue_size=queue_size, on_failure=on_failure)
    await engine.connect(ours)
    while engine.limits is None:
        await asyncio.sleep(0.005)
    try:
        yield engine
    finally:
        await engine.stop()
        if gate := getattr(backend, "gate", None):
            gate.release(1000)
        for thread in threads:
            await asyncio.to_thread(thread.join, 20)
        theirs.close()


async def text_of(generation: object) -> str:
    """The whole text of a generation of one answer."""
    return "".join([piece.text async for pieces in generation.pieces() for piece in pieces])  # type: ignore[attr-defined]
