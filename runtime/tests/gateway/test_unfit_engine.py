"""An engine that answers, but no token: it is not ready, its breaker says why, and no client takes the blame."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from calls import in_loop
from running import MockEngine, running, settings

QUICK: dict[str, Any] = {
    "health": {"interval_seconds": 0.1, "misses": 2},
    "breaker": {"failures": 2, "open_seconds": 60.0, "open_seconds_limit": 60.0},
}


@pytest.mark.parametrize("status", [400, 401, 404, 503])
@in_loop
async def test_what_answers_a_probe_with_an_error_is_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO)
    engine = await MockEngine(status=status).start()
    async with running(tmp_path, settings(engine, **QUICK), proven=False) as gateway:
        while not await gateway.metric(f'wxops_gateway_breaker_state{{model="ernie",replica="{engine.url}"}}'):
            assert (await gateway.client.get("/ready")).status_code == 503
            await asyncio.sleep(0.05)
    assert f"answers {status} to a probe" in caplog.text


@in_loop
async def test_a_key_that_an_engine_does_not_take_is_no_fault_of_the_client(tmp_path: Path) -> None:
    refusing, good = await MockEngine(status=401).start(), await MockEngine().start()
    for engines, status in (((refusing, good), 200), ((refusing,), 502)):
        async with running(tmp_path, settings(*engines, routing={"policy": "round_robin"}), proven=False) as gateway:
            for answer in [await gateway.chat() for _ in range(3)]:
                assert answer.status_code == status and "authentication_error" not in answer.text


@pytest.mark.parametrize(("status", "state"), [(503, 2), (429, 0)])
@in_loop
async def test_a_503_that_names_no_time_is_a_failure_and_a_429_is_none(tmp_path: Path, status: int, state: int) -> None:
    engine = await MockEngine().start()
    calm = QUICK | {"health": {"interval_seconds": 3600}}
    async with running(tmp_path, settings(engine, **calm)) as gateway:
        for _ in range(3):
            assert (await gateway.chat(mock={"status": status})).status_code in (status, 503)
        name = f'wxops_gateway_breaker_state{{model="ernie",replica="{engine.url}"}}'
        assert await gateway.metric(name) == state
