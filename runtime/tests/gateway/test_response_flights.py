"""One flight for all who ask the same at once: who joins, who leaves, and what fails."""

from __future__ import annotations

import asyncio

import pytest
from caches import asked, made
from calls import Engine, call, events, header, in_loop, over, read, settle

from wxruntime.gateway.exchange import Call, Refusal
from wxruntime.gateway.recorded import Recorded


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_many_who_ask_the_same_at_once_ask_the_engine_once(stream: bool) -> None:
    cache, engine = made(), Engine()
    engine.gate.clear()
    asking = [asyncio.create_task(asked(cache, engine, stream=stream)) for _ in range(50)]
    await settle()
    engine.gate.set()
    answers = await asyncio.gather(*asking)
    assert len(engine.calls) == 1
    assert len({said for _, said in answers}) == 1
    assert sorted(label or "" for label, _ in answers) == ["HIT"] * 49 + ["MISS"]
    assert cache.saved_tokens["ernie", "output"] == 49 * 2


@in_loop
async def test_who_joins_a_stream_late_gets_all_of_it_from_the_first_event_and_the_rest_as_it_comes() -> None:
    cache, engine = made(), Engine("a", "b", "c")
    engine.stepwise = True
    first = await cache(call(stream=True), engine)
    for _ in range(3):
        engine.step.release()
    await settle()
    late = await cache(call(stream=True), engine)
    assert late.stream is not None and header(late, "x-cache") == "HIT"
    assert await late.stream.__anext__() == b"".join(events("a", "b", "c", usage=False)[:3])
    engine.step.release()
    assert await late.stream.__anext__() == events("a", "b", "c")[3]
    for _ in range(9):
        engine.step.release()
    assert await read(first) == b"".join(events("a", "b", "c", usage=False))
    assert await read(late) == b"".join(events("a", "b", "c", usage=False)[4:])


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_the_first_one_leaves_and_the_others_get_the_whole_answer(stream: bool) -> None:
    cache, engine = made(), Engine()
    engine.gate.clear()
    leader, follower = call(stream=stream), call(stream=stream)

    async def ask(one: Call) -> bytes:
        return await read(await cache(one, engine))

    tasks = [asyncio.create_task(ask(one)) for one in (leader, follower)]
    await settle()
    tasks[0].cancel()
    await settle()
    over(leader)
    engine.gate.set()
    assert "好".encode() in await tasks[1]
    assert len(engine.calls) == 1 and engine.cancelled == 0
    assert (leader.usage.completion, follower.usage.completion) == (0, 2)  # who is left pays
    assert (await asked(cache, engine, stream=stream))[0] == "HIT"


@pytest.mark.parametrize("begun", [False, True])
@in_loop
async def test_when_all_have_left_the_engine_is_told_to_stop(begun: bool) -> None:
    cache, engine = made(), Engine()
    engine.stepwise = True
    if not begun:
        engine.gate.clear()
    calls = [call(stream=True), call(stream=True)]

    async def ask(one: Call) -> None:
        await read(await cache(one, engine))

    tasks = [asyncio.create_task(ask(one)) for one in calls]
    if begun:
        engine.step.release()
    await settle()
    for task, one in zip(tasks, calls, strict=True):
        task.cancel()
        await settle()
        over(one)
    await settle()
    assert engine.cancelled == 1
    assert cache.memory.used == 0 and not cache._flights
    engine.stepwise = False
    engine.gate.set()
    assert (await asked(cache, engine, stream=True))[0] == "MISS"


@in_loop
async def test_a_stream_that_nobody_began_to_read_is_given_up_when_its_call_ends() -> None:
    cache, engine = made(), Engine()
    engine.stepwise = True
    one = call(stream=True)
    await cache(one, engine)
    await settle()
    over(one)
    await settle()
    assert engine.cancelled == 1 and cache.memory.used == 0


@in_loop
async def test_a_failure_is_everybodys_and_the_next_one_asks_again() -> None:
    cache, engine = made(), Engine()
    engine.gate.clear()
    engine.fault = Refusal(502, "upstream", "a replica failed")
    asking = [asyncio.create_task(asked(cache, engine)) for _ in range(3)]
    await settle()
    engine.gate.set()
    failures = await asyncio.gather(*asking, return_exceptions=True)
    assert [getattr(failure, "status", None) for failure in failures] == [502, 502, 502]
    assert len(engine.calls) == 1
    engine.fault = None
    assert (await asked(cache, engine))[0] == "MISS"


@in_loop
async def test_a_fault_of_the_gateways_own_hangs_nobody() -> None:
    cache, engine = made(), Engine()
    engine.fault = RuntimeError("a bug")
    failures = await asyncio.gather(*(asked(cache, engine) for _ in range(3)), return_exceptions=True)
    assert [str(failure) for failure in failures] == ["a bug"] * 3
    engine.fault = None

    def full(key: bytes, answer: Recorded) -> bool:
        raise RuntimeError("another bug")

    cache.memory.put = full  # type: ignore[method-assign]
    for stream in (False, True):
        assert (await asked(cache, engine, stream=stream))[0] == "MISS"


@in_loop
async def test_a_stream_that_breaks_is_broken_for_everybody_and_says_so() -> None:
    cache, engine = made(), Engine()
    engine.breaks = engine.stepwise = True
    calls = [call(stream=True), call(stream=True)]
    answers = [await cache(one, engine) for one in calls]
    for _ in range(9):
        engine.step.release()
    for one, answer in zip(calls, answers, strict=True):
        said = await read(answer)
        assert b'"error"' in said and said.endswith(b"data: [DONE]\n\n")
        assert (one.outcome, one.error) == ("broken", "closed")
