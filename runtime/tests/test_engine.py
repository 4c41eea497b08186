"""What the engine does when its model misbehaves: a step that hangs, a step that fails, a model that is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from wxruntime.checkpoint import Checkpoint, read_checkpoint
from wxruntime.draws import Sampling
from wxruntime.engine import Engine, NotReady, QueueFull
from wxruntime.generation import GenerationFailed
from wxruntime.metrics import Metrics
from wxruntime.model import Ernie
from wxruntime.server import Service

GREEDY = Sampling(max_tokens=20, temperature=0)


class Faulty(Ernie):
    """The real model, with a fault before each step."""

    fault: Callable[[], object] = staticmethod(lambda: None)

    def steps(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[int | None]:
        for step in super().steps(prompt, sampling):
            self.fault()
            yield step


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.fixture
def model(checkpoint: Checkpoint) -> Faulty:
    return Faulty(checkpoint, "cpu")


@pytest.fixture
def failed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def engine(checkpoint: Checkpoint, model: Faulty, failed: threading.Event) -> Iterator[Engine]:
    engine = Engine(lambda: model, checkpoint.stop_tokens, Metrics("tiny"), queue_size=1, on_failure=failed.set)
    engine.start()
    while engine.progress().state == "loading":
        threading.Event().wait(0.01)
    yield engine
    engine.stop()


def broken() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_failed_answer_is_told_and_the_next_one_is_answered(engine: Engine, model: Faulty) -> None:
    async def ask() -> str:
        return await engine.submit(model.encode_chat([{"role": "user", "content": "谢谢"}]), GREEDY).text()

    model.fault = broken
    with pytest.raises(GenerationFailed):
        asyncio.run(ask())
    del model.fault
    assert asyncio.run(ask()) == "不客气，随时问我。"
    assert engine.progress().state == "ready"


def test_a_model_that_is_gone_ends_the_engine(engine: Engine, model: Faulty, failed: threading.Event) -> None:
    entered, release = threading.Event(), threading.Event()

    def break_when_released() -> None:
        entered.set()
        release.wait(5)
        broken()

    async def ask() -> None:
        running = engine.submit([1], GREEDY)
        await asyncio.to_thread(entered.wait, 5)
        waiting = engine.submit([1], GREEDY)
        release.set()
        for generation in (running, waiting):
            with pytest.raises(GenerationFailed):
                await generation.text()
        with pytest.raises(NotReady):
            engine.submit([1], GREEDY)

    model.fault = break_when_released
    model.prove = broken  # type: ignore[method-assign]
    asyncio.run(ask())
    assert failed.wait(5)
    assert (engine.progress().state, str(engine.failure)[:10]) == ("failed", "CUDA error")


def test_a_step_that_hangs_makes_health_fail(engine: Engine, checkpoint: Checkpoint, model: Faulty) -> None:
    entered, release = threading.Event(), threading.Event()
    service = Service(engine, checkpoint, Metrics("tiny"), ("tiny",), stall_s=0.2)

    async def ask() -> None:
        generation = engine.submit([1], GREEDY)
        await asyncio.to_thread(entered.wait, 5)
        assert service.health() == "ok"
        await asyncio.sleep(0.3)
        assert service.health() == "stalled"
        release.set()
        await generation.text()
        assert service.health() == "ok"

    model.fault = lambda: (entered.set(), release.wait(5))
    asyncio.run(ask())


def test_a_waiting_client_that_leaves_makes_room(engine: Engine, model: Faulty) -> None:
    entered, release = threading.Event(), threading.Event()

    async def ask() -> None:
        running = engine.submit([1], GREEDY)
        await asyncio.to_thread(entered.wait, 5)
        waiting = engine.submit([1], GREEDY)
        with pytest.raises(QueueFull):
            engine.submit([1], GREEDY)
        waiting.cancel()
        patient = engine.submit([1], GREEDY)
        release.set()
        assert await patient.text() == await running.text()
        assert waiting.finish_reason == "cancelled"

    model.fault = lambda: (entered.set(), release.wait(5))
    asyncio.run(ask())


def test_stopping_cancels_the_running_answer_within_a_step(engine: Engine) -> None:
    async def ask() -> None:
        generation = engine.submit([1], Sampling(max_tokens=8000, seed=1, temperature=2))
        await asyncio.to_thread(engine.stop)
        with pytest.raises(GenerationFailed):
            await generation.text()

    asyncio.run(ask())
    assert engine.progress().running == 0
