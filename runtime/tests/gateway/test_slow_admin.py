"""A slow disk, or a slow directory of users, holds up who changes replicas and nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from calls import in_loop
from running import MockEngine, running, settings

SLOW_S = 5.0


def slow(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> tuple[threading.Event, Callable[[], None]]:
    """A function of the system that waits, and what lets it go on."""
    called, go = threading.Event(), threading.Event()
    real = getattr(module, name)

    def waits(*arguments: Any) -> Any:
        called.set()
        go.wait(SLOW_S)
        return real(*arguments)

    monkeypatch.setattr(module, name, waits)
    return called, go.set


def administered(folder: Path, engine: MockEngine) -> dict[str, Any]:
    admin = {"socket": str(folder / "admin.sock"), "state": str(folder / "state.json")}
    audit = {"file": str(folder / "audit.jsonl"), "sync": "never"}
    return settings(engine, listen={"port": 0, "admin": admin}, audit=audit)


def client(folder: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "admin.sock"))
    return httpx.AsyncClient(transport=transport, base_url="http://admin", timeout=20)


async def reached(called: threading.Event) -> None:
    while not called.is_set():
        await asyncio.sleep(0.01)


async def calls_go_on(gateway: Any, called: threading.Event) -> None:
    """From now on, while the function waits."""
    before = time.monotonic()
    await reached(called)
    assert (await gateway.chat()).status_code == 200
    assert time.monotonic() - before < SLOW_S


@in_loop
async def test_calls_go_on_while_a_change_is_written_and_changes_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await MockEngine().start()
    async with running(tmp_path, administered(tmp_path, engine)) as gateway, client(tmp_path) as admin:
        called, go = slow(monkeypatch, os, "fsync")
        bodies = [{"model": "ernie", "url": f"http://127.0.0.1:{port}"} for port in (7, 9)]
        asked = [asyncio.create_task(admin.post("/admin/replicas", json=body)) for body in bodies]
        await calls_go_on(gateway, called)
        assert not any(task.done() for task in asked)
        go()
        assert [(await task).status_code for task in asked] == [201, 201]
        kept = json.loads((tmp_path / "state.json").read_text())["models"]["ernie"]["replicas"]
        assert {each["url"] for each in kept} == {engine.url, *(body["url"] for body in bodies)}


@in_loop
async def test_what_a_client_began_and_did_not_wait_for_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be on the disk and not in force, until the next start."""
    engine = await MockEngine().start()
    async with running(tmp_path, administered(tmp_path, engine)) as gateway:
        called, go = slow(monkeypatch, os, "fsync")
        async with client(tmp_path) as admin:
            body = {"model": "ernie", "url": "http://127.0.0.1:9"}
            asked = asyncio.create_task(admin.post("/admin/replicas", json=body))
            await reached(called)
            asked.cancel()
        await asyncio.sleep(0.1)
        go()
        while "ernie" not in gateway.server.rosters.models:
            await asyncio.sleep(0.01)


@in_loop
async def test_a_directory_that_does_not_tell_a_users_name_holds_no_call_up_and_the_audit_log_has_the_uid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await MockEngine().start()
    async with running(tmp_path, administered(tmp_path, engine)) as gateway, client(tmp_path) as admin:
        called, go = slow(monkeypatch, pwd, "getpwuid")
        body = {"model": "ernie", "url": "http://127.0.0.1:9"}
        asked = asyncio.create_task(admin.post("/admin/replicas", json=body))
        await calls_go_on(gateway, called)
        assert (await asked).status_code == 201
        go()
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    (added,) = [each for each in lines if each["event"] == "admin"]
    assert (added["by"], added["uid"]) == (f"uid {os.getuid()}", os.getuid())
