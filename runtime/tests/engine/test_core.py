"""What the engine does when its backend misbehaves, and when its clients do."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fake import Scripted, engine_over, text_of
from tokenizers import Tokenizer

from wxruntime.backends.base import Load
from wxruntime.engine.engine import Engine, NotReady, QueueFull
from wxruntime.engine.generation import GenerationFailed
from wxruntime.engine.link import Start
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.probes import Readiness
from wxruntime.engine.service import Service
from wxruntime.sampling import Sampling

TEXT = "谢谢，不客气，随时问我。"


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny / "tokenizer.json"))


@pytest.fixture
def backend(tokenizer: Tokenizer) -> Scripted:
    return Scripted(tokenizer.encode(TEXT).ids)


def wanted(max_tokens: int) -> list[Sampling]:
    return [Sampling(max_tokens=max_tokens, temperature=0)]


def broken() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


def test_a_failed_step_is_told_and_the_next_answer_comes(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            backend.fault = broken
            both = [engine.submit([1], wanted(3)) for _ in range(2)]
            for generation in both:
                with pytest.raises(GenerationFailed):
                    await text_of(generation)
            backend.fault = lambda: None
            assert await text_of(engine.submit([1], wanted(len(backend.script)))) == TEXT
            assert (engine.progress().state, engine.progress().running) == ("ready", 0)

    run(test)


def test_a_backend_that_is_gone_ends_the_engine(backend: Scripted, tokenizer: Tokenizer) -> None:
    failed = threading.Event()

    async def test() -> None:
        async with engine_over(backend, tokenizer, on_failure=failed.set) as engine:
            backend.fault, backend.prove_fault = broken, broken
            waiting = [engine.submit([1], wanted(3)) for _ in range(6)]
            for generation in waiting:
                with pytest.raises(GenerationFailed):
                    await text_of(generation)
            with pytest.raises(NotReady):
                engine.submit([1], wanted(1))
            assert failed.is_set()
            assert (engine.progress().state, str(engine.failure)[:10]) == ("failed", "CUDA error")

    run(test)


def test_a_process_that_dies_ends_the_engine(tokenizer: Tokenizer) -> None:
    """Killed, or out of memory: it tells nothing any more."""
    failed = threading.Event()

    async def test() -> None:
        ours, theirs = socket.socketpair()
        start, metrics = Start("", Load(Path())), Metrics("tiny")
        engine = Engine(start, tokenizer, metrics, queue_size=1, on_failure=failed.set)
        await engine.connect(ours)
        theirs.close()
        await until(lambda: engine.failure is not None)
        assert failed.is_set() and engine.progress().state == "failed"
        assert "process ended" in str(engine.failure)

    run(test)


def test_a_step_that_hangs_makes_health_fail(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        backend.gate = threading.Semaphore(0)
        async with engine_over(backend, tokenizer) as engine:
            service = Service(engine, None, None, Metrics("tiny"), ("tiny",), stall_s=0.2)  # type: ignore[arg-type]
            assert service.health() == "ok"
            generation = engine.submit([1], wanted(1))
            await asyncio.sleep(0.4)
            assert service.health() == "stalled"
            backend.gate.release()
            await text_of(generation)
            assert service.health() == "ok"

    run(test)


def test_a_cancelled_answer_is_in_no_step_after_the_one_under_way(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        backend.gate = threading.Semaphore(0)
        async with engine_over(backend, tokenizer) as engine:
            leaves, stays = engine.submit([1], wanted(100)), engine.submit([1], wanted(4))
            for steps in (1, 2):
                backend.gate.release()
                await until(lambda: len(backend.stepped) == steps)  # noqa: B023, awaited at once
            leaves.cancel()
            await asyncio.sleep(0.2)  # the cancellation lies before the core, which hangs in its third step
            for _ in range(4):
                backend.gate.release()
            await text_of(stays)
            left = leaves.answers[0].sequence.id
            assert [left in step for step in backend.stepped[:2]] == [True, True]
            assert not any(left in step for step in backend.stepped[3:])
            assert leaves.answers[0].finish_reason == "cancelled"

    run(test)


def test_more_than_fit_and_may_wait_are_turned_away_until_one_leaves(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        backend.gate = threading.Semaphore(0)
        async with engine_over(backend, tokenizer, queue_size=1) as engine:
            held = [engine.submit([1], wanted(50)) for _ in range(backend.limits.max_sequences)]
            backend.gate.release(len(held))
            await until(lambda: engine.progress().running == len(held))
            waiting = engine.submit([1], wanted(50))
            assert engine.progress().waiting == 1
            with pytest.raises(QueueFull):
                engine.submit([1], wanted(50))
            waiting.cancel()
            patient = engine.submit([1], wanted(50))
            backend.gate.release(1000)
            assert await text_of(patient) == await text_of(held[0])
            assert waiting.answers[0].finish_reason == "cancelled"

    run(test)


def test_stopping_cancels_what_runs(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            generation = engine.submit([1], wanted(100_000))
            await until(lambda: engine.progress().running == 1)
            await engine.stop()
            with pytest.raises(GenerationFailed):
                await text_of(generation)
            assert engine.progress().running == 0

    run(test)


def test_sequences_that_come_within_the_gathering_time_share_the_first_step(
    backend: Scripted, tokenizer: Tokenizer
) -> None:
    async def test() -> None:
        backend.gather_s = 5.0
        async with engine_over(backend, tokenizer) as engine:
            generations = []
            for _ in range(backend.limits.max_sequences):  # a full batch does not wait for the rest of the time
                generations.append(engine.submit([1], wanted(2)))
                await asyncio.sleep(0.02)
            async with asyncio.timeout(4):
                for generation in generations:
                    await text_of(generation)
            assert [len(step) for step in backend.stepped] == [4, 4]

    run(test)


@pytest.mark.parametrize(
    ("stop", "shown", "reason"),
    [
        (("，不客",), "谢谢", "stop"),
        (("客气，", "不"), "谢谢，", "stop"),
        (("我。",), "谢谢，不客气，随时问", "stop"),
        (("。X",), TEXT, "length"),
        (("谢谢",), "", "stop"),
    ],
)
def test_a_stop_string_across_tokens_ends_the_answer_before_it(
    backend: Scripted, tokenizer: Tokenizer, stop: tuple[str, ...], shown: str, reason: str
) -> None:
    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            generation = engine.submit([1], wanted(len(backend.script)), stop)
            assert await text_of(generation) == shown
            assert generation.answers[0].finish_reason == reason
            await until(lambda: not backend.running)

    run(test)


def test_a_stop_string_frees_the_engine_of_an_endless_answer(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            generation = engine.submit([1], wanted(1_000_000), ("客气",))
            assert await text_of(generation) == "谢谢，不"
            await until(lambda: not backend.running)
            assert generation.usage.completion_tokens < len(backend.script)

    run(test)


def test_a_late_reader_counts_the_tokens_that_an_early_one_does(backend: Scripted, tokenizer: Tokenizer) -> None:
    """What came after the stop string, the stop token too, is none of the answer."""
    sampling = [Sampling(max_tokens=1000, temperature=0, stop_tokens=frozenset({backend.script[-1]}))]

    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            early = engine.submit([1], sampling, ("客气",))
            assert await text_of(early) == "谢谢，不"
            late = engine.submit([1], sampling, ("客气",))
            await until(lambda: late.answers[0].finish_reason)
            assert await text_of(late) == "谢谢，不"
            assert late.usage == early.usage

    run(test)


def test_ready_is_a_token_that_was_made_and_many_probes_make_one(backend: Scripted, tokenizer: Tokenizer) -> None:
    async def test() -> None:
        async with engine_over(backend, tokenizer) as engine:
            readiness = Readiness(engine)
            assert all(await asyncio.gather(*[readiness.ready() for _ in range(50)]))
            assert await readiness.ready()
            assert len(backend.stepped) == 1
            assert b'vllm:generation_tokens_total{model_name="tiny"} 0.0' in engine_metrics(engine)

    run(test)


def test_an_engine_that_makes_no_token_is_not_ready(
    backend: Scripted, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wxruntime.engine.probes.TIMEOUT_S", 0.2)

    async def test() -> None:
        backend.gate = threading.Semaphore(0)
        async with engine_over(backend, tokenizer) as engine:
            assert not await Readiness(engine).ready()
            backend.gate.release()
            await until(lambda: not backend.running and not backend.waiting)

    run(test)


def engine_metrics(engine: Engine) -> bytes:
    return engine._metrics.exposition()
