"""The response cache as clients see it: hits, misses, one flight for all who ask the same, only good answers kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from calls import Engine, call, events, header, read, whole

from wxruntime.gateway.exchange import Answer, Call, Refusal
from wxruntime.gateway.memory import Memory
from wxruntime.gateway.recorded import Recorded
from wxruntime.gateway.response_cache import ResponseCache


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**arguments), 20))

    return run


def made(**settings: Any) -> ResponseCache:
    memory = Memory(settings.pop("limit", 1_000_000))
    standard: dict[str, Any] = {"entry_bytes": 100_000, "ttl_seconds": 60, "by_client": True}
    return ResponseCache(memory, **(standard | {"revision": lambda _: "r1"} | settings))


async def asked(cache: ResponseCache, engine: Engine, *args: Any, **fields: Any) -> tuple[str | None, bytes]:
    """What X-Cache and the answer say."""
    answer = await cache(call(*args, **fields), engine)
    return header(answer, "x-cache"), await read(answer)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def over(call: Call) -> None:
    for ending in call.endings:
        ending()


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_a_repeated_question_is_answered_from_the_cache_byte_for_byte(stream: bool) -> None:
    cache, engine = made(), Engine()
    first = await asked(cache, engine, stream=stream)
    second = await asked(cache, engine, stream=stream)
    assert (first[0], second[0]) == ("MISS", "HIT")
    assert first[1] == second[1] and first[1]
    assert len(engine.calls) == 1


@in_loop
async def test_a_hit_costs_no_tokens_and_says_its_age_and_the_request_it_answers() -> None:
    cache, engine = made(), Engine()
    first = call()
    await read(await cache(first, engine))
    second = call()
    answer = await cache(second, engine)
    assert (first.usage.prompt, first.usage.completion) == (5, 2)
    assert (second.usage.prompt, second.usage.completion, second.cache) == (0, 0, "HIT")
    assert header(answer, "age") == "0"
    assert header(answer, "x-request-id") == second.id
    assert cache.saved_tokens == {("ernie", "input"): 5, ("ernie", "output"): 2}
    assert cache.results == {("ernie", "miss"): 1, ("ernie", "hit"): 1}


@in_loop
async def test_an_omitted_temperature_is_not_zero() -> None:
    cache, engine = made(), Engine()
    for _ in range(2):
        assert (await asked(cache, engine, temperature=...))[0] == "BYPASS"
    assert len(engine.calls) == 2


@in_loop
async def test_a_temperature_behind_an_escape_is_seen() -> None:
    cache, engine = made(), Engine()
    for expected in ("MISS", "HIT"):
        one = call()
        one.body = one.body.replace(b'"temperature"', b'"\\u0074emperature"')
        assert header(await cache(one, engine), "x-cache") == expected


@in_loop
async def test_clients_do_not_see_each_others_answers_unless_they_share() -> None:
    engine = Engine()
    for by_client, found in ((True, "MISS"), (False, "HIT")):
        cache = made(by_client=by_client)
        await asked(cache, engine, "shop")
        assert (await asked(cache, engine, "bank"))[0] == found


@in_loop
async def test_a_new_revision_of_the_model_has_new_answers() -> None:
    revisions = iter(["r1", "r2", "r2"])
    cache, engine = made(revision=lambda _: next(revisions)), Engine()
    assert [(await asked(cache, engine))[0] for _ in range(3)] == ["MISS", "MISS", "HIT"]


@in_loop
async def test_a_text_answered_whole_is_replayed_as_a_stream_and_the_other_way_round() -> None:
    for first in (False, True):
        cache, engine = made(), Engine()
        assert (await asked(cache, engine, stream=first))[0] == "MISS"
        label, said = await asked(cache, engine, stream=not first)
        assert label == "HIT" and len(engine.calls) == 1
        if first:
            assert json.loads(said) == json.loads(whole())
        else:
            assert said.endswith(b"data: [DONE]\n\n") and "你好".encode() in said and b'"usage"' not in said


@in_loop
async def test_the_usage_event_comes_exactly_when_it_is_asked_for() -> None:
    cache, engine = made(), Engine()
    with_it = {"stream": True, "stream_options": {"include_usage": True}}
    for fields, expected in ((with_it, True), ({"stream": True}, False)) * 2:
        said = (await asked(cache, engine, **fields))[1]
        assert said == b"".join(events("你", "好", usage=expected))
    assert len(engine.calls) == 1


@pytest.mark.parametrize(
    ("name", "value", "first", "second"),
    [
        (b"cache-control", b"no-store", "BYPASS", "MISS"),
        (b"cache-control", b"no-cache", "MISS", "HIT"),
        (b"cache-control", b"max-age=0", "MISS", "HIT"),
        (b"cache-control", b"max-age=60", "MISS", "HIT"),
        (b"cache-control", b"nonsense", "MISS", "HIT"),
    ],
)
@in_loop
async def test_what_a_client_says_of_the_cache(name: bytes, value: bytes, first: str, second: str) -> None:
    cache, engine = made(), Engine()
    assert (await asked(cache, engine, headers=[(name, value)]))[0] == first
    assert (await asked(cache, engine))[0] == second


@pytest.mark.parametrize(("value", "found"), [(b"no-cache", "MISS"), (b"no-store", "BYPASS"), (b"max-age=0", "MISS")])
@in_loop
async def test_a_client_that_wants_a_new_answer_gets_one(value: bytes, found: str) -> None:
    cache, engine = made(), Engine()
    await asked(cache, engine)
    await asyncio.sleep(0.01)
    assert (await asked(cache, engine, headers=[(b"cache-control", value)]))[0] == found
    assert len(engine.calls) == 2


@in_loop
async def test_who_insists_has_an_answer_kept_that_is_not_deterministic_and_nobody_else_gets_it() -> None:
    cache, engine = made(), Engine()
    insists = [(b"x-cache", b"store")]
    labels = [(await asked(cache, engine, temperature=1, headers=headers))[0] for headers in (insists, insists, None)]
    assert labels == ["MISS", "HIT", "BYPASS"]


@in_loop
async def test_an_answer_is_forgotten_when_its_time_is_over() -> None:
    cache, engine = made(ttl_seconds=0.05), Engine()
    await asked(cache, engine)
    await asyncio.sleep(0.06)
    assert (await asked(cache, engine))[0] == "MISS"


@in_loop
async def test_tool_calls_are_kept_in_the_form_in_which_they_were_asked_for() -> None:
    cache, engine = made(), Engine()
    tools = [{"type": "function", "function": {"name": "f"}}]
    await asked(cache, engine, tools=tools, stream=True)
    assert (await asked(cache, engine, tools=tools, stream=False))[0] == "MISS"
    assert (await asked(cache, engine, tools=tools, stream=True))[0] == "HIT"


def broken(engine: Engine) -> None:
    engine.breaks = True


def refused(engine: Engine) -> None:
    engine.status = 400


def emergency(engine: Engine) -> None:
    engine.engine = "emergency"


@pytest.mark.parametrize("how", [broken, refused, emergency])
@in_loop
async def test_what_is_broken_an_error_or_from_an_emergency_engine_is_not_kept(how: Callable[[Engine], None]) -> None:
    cache, engine = made(), Engine()
    how(engine)
    for _ in range(2):
        assert (await asked(cache, engine, stream=True))[0] == "MISS"
    assert len(engine.calls) == 2 and len(cache.memory) == 0 and cache.memory.used == 0


@in_loop
async def test_a_refusal_is_not_kept_either() -> None:
    cache, engine = made(), Engine()
    engine.fault = Refusal(503, "queue_full", "full")
    for _ in range(2):
        with pytest.raises(Refusal, match="full"):
            await asked(cache, engine)
    engine.fault = None
    assert (await asked(cache, engine))[0] == "MISS"


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


@in_loop
async def test_an_answer_too_large_to_keep_streams_through_without_being_held() -> None:
    cache, engine = made(entry_bytes=2000), Engine(*(f"{at} " + "x" * 500 for at in range(2000)))
    answer = await cache(call(stream=True), engine)
    said, most = [], 0
    assert answer.stream is not None
    async for piece in answer.stream:
        said.append(piece)
        await asyncio.sleep(0)
        most = max(most, sum(map(len, next(iter(cache._flights.values())).events)) if cache._flights else 0)
    assert b"".join(said) == b"".join(events(*engine.texts, usage=False))
    assert most < 300_000  # a quarter of a megabyte ahead of its reader
    assert cache.memory.used == 0
    assert (await asked(cache, engine, stream=True))[0] == "MISS"


@in_loop
async def test_memory_is_within_its_bound_whatever_is_recorded_at_once() -> None:
    cache = made(limit=20_000, entry_bytes=15_000)
    engines = [Engine(*("x" * 200 for _ in range(20))) for _ in range(12)]
    most = 0

    async def ask(at: int) -> bytes:
        nonlocal most
        answer, said = await cache(call(stream=True, seed=at), engines[at]), b""
        assert answer.stream is not None
        async for piece in answer.stream:
            said += piece
            most = max(most, cache.memory.used)
            await asyncio.sleep(0)
        return said

    said = await asyncio.gather(*(ask(at) for at in range(12)))
    assert set(said) == {b"".join(events(*engines[0].texts, usage=False))}
    assert 0 < most <= 20_000


@in_loop
async def test_what_a_cache_behind_this_one_says_is_not_passed_on() -> None:
    async def center(call: Call) -> Answer:
        return Answer(200, [(b"x-cache", b"HIT")], whole())

    for fields in ({}, {"temperature": 1}):
        answer = await made()(call(**fields), center)
        assert [value for name, value in answer.headers if name == b"x-cache"] != [b"HIT"]
        assert len([name for name, _ in answer.headers if name == b"x-cache"]) == 1


@in_loop
async def test_other_paths_pass_by() -> None:
    cache, engine = made(), Engine()
    answer = await cache(call(route="tokenize"), engine)
    assert header(answer, "x-cache") is None


class Neighbour:
    """A store that two gateways share."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Recorded] = {}

    async def get(self, slot: bytes) -> Recorded | None:
        await asyncio.sleep(0)
        return self.kept.get(slot)

    def put(self, slot: bytes, answer: Recorded) -> None:
        self.kept[slot] = answer


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_what_one_gateway_was_told_another_one_knows(stream: bool) -> None:
    shared = Neighbour()
    one, other, engine = made(shared=shared), made(shared=shared), Engine()
    first = await asked(one, engine, stream=stream)
    again = await asyncio.gather(*(asked(other, engine, stream=stream) for _ in range(3)))
    assert [label for label, _ in again] == ["HIT"] * 3
    assert {said for _, said in again} == {first[1]}
    assert len(engine.calls) == 1


@in_loop
async def test_a_hit_is_a_hundred_times_faster_than_an_answer_of_a_tenth_of_a_second() -> None:
    cache, engine = made(), Engine()
    await asked(cache, engine, stream=True)
    began = time.process_time()
    for _ in range(100):
        await asked(cache, engine, stream=True)
    assert (time.process_time() - began) / 100 < 1e-3
