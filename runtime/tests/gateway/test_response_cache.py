"""The response cache as clients see it: hits, misses, and only good answers kept, each for who may have it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from caches import asked, made
from calls import Engine, call, events, header, in_loop, read, whole

from wxruntime.gateway.exchange import Answer, Call, Refusal


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


@in_loop
async def test_a_hit_is_a_hundred_times_faster_than_an_answer_of_a_tenth_of_a_second() -> None:
    cache, engine = made(), Engine()
    await asked(cache, engine, stream=True)
    began = time.process_time()
    for _ in range(100):
        await asked(cache, engine, stream=True)
    assert (time.process_time() - began) / 100 < 1e-3
