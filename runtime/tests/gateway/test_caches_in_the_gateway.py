"""The caches where they are plugged in: a real gateway over HTTP, its metrics, and what a reload leaves of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from calls import in_loop
from running import MockEngine, running, settings


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_a_repeated_question_does_not_reach_an_engine(tmp_path: Path, stream: bool) -> None:
    engine = await MockEngine().start()
    async with running(tmp_path, settings(engine, cache={})) as gateway:
        before = engine.seen["requests"]
        first, second = await gateway.chat(stream=stream), await gateway.chat(stream=stream)
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        assert first.content == second.content
        assert first.headers["content-type"] == second.headers["content-type"]
        assert engine.seen["requests"] == before + 1
        assert await gateway.metric('wxops_gateway_cache_requests_total{model="ernie",result="hit"}') == 1
        assert await gateway.metric('wxops_gateway_cache_saved_tokens_total{model="ernie",type="output"}') == 4
        assert 0 < await gateway.metric("wxops_gateway_cache_bytes") < 5000


@in_loop
async def test_without_a_cache_in_the_configuration_nothing_is_kept(tmp_path: Path) -> None:
    engine = await MockEngine().start()
    async with running(tmp_path, settings(engine)) as gateway:
        assert "x-cache" not in (await gateway.chat()).headers


@in_loop
async def test_tokens_of_a_stream_are_known_and_its_usage_event_is_for_those_who_asked(tmp_path: Path) -> None:
    engine = await MockEngine().start()
    seen: list[Any] = []
    async with running(tmp_path, settings(engine)) as gateway:
        gateway.gateway.observers.ended = lambda call: seen.append(call)  # type: ignore[method-assign]
        plain = await gateway.chat(stream=True)
        asked = await gateway.chat(stream=True, stream_options={"include_usage": True})
    assert '"usage"' not in plain.text and plain.text.endswith("data: [DONE]\n\n")
    assert json.loads(asked.text.split("\n\n")[-3].removeprefix("data: "))["usage"]["completion_tokens"] == 4
    assert [(call.usage.prompt, call.usage.completion, call.usage.exact) for call in seen] == [(5, 4, True)] * 2


@in_loop
async def test_a_conversation_stays_at_the_replica_that_read_its_beginning(tmp_path: Path) -> None:
    engines = [await MockEngine().start() for _ in range(3)]
    async with running(tmp_path, settings(*engines)) as gateway:
        before = [engine.seen["requests"] for engine in engines]
        talk = [{"role": "system", "content": "Be brief. " * 100}]
        for turn in range(6):
            talk.append({"role": "user", "content": f"question {turn}? " * 20})
            await gateway.chat(messages=talk)
        asked = [engine.seen["requests"] - was for engine, was in zip(engines, before, strict=True)]
        assert sorted(asked) == [0, 0, 6]
        found = await gateway.metric("wxops_gateway_prefix_found_characters_total")
        assert found > 0.6 * await gateway.metric("wxops_gateway_prefix_characters_total")


@in_loop
async def test_a_reload_keeps_answers_and_prefixes_and_a_new_revision_has_none(tmp_path: Path) -> None:
    engine = await MockEngine().start()
    config = settings(engine, cache={})
    async with running(tmp_path, config) as gateway:
        await gateway.chat()
        picker = gateway.gateway.picker
        await gateway.server.reload()
        assert (await gateway.chat()).headers["x-cache"] == "HIT"
        assert gateway.gateway.picker is picker
        config["models"][0]["revision"] = "r2"
        gateway.path.write_text(yaml.safe_dump(config))
        await gateway.server.reload()
        assert (await gateway.chat()).headers["x-cache"] == "MISS"
        config["routing"] = {"policy": "least_busy"}
        gateway.path.write_text(yaml.safe_dump(config))
        await gateway.server.reload()
        assert gateway.gateway.picker is not picker and picker not in gateway.gateway.observers.all
        assert (await gateway.chat()).headers["x-cache"] == "HIT"
