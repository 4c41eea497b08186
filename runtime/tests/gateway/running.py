"""A whole gateway and its engines in this process, for tests of what is plugged into it."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from wxruntime.gateway.serve import Server

_bench = Path(__file__).parents[2] / "bench"
sys.path.append(str(_bench))  # for what it imports itself
_spec = importlib.util.spec_from_file_location("mock_engine", _bench / "mock.py")
assert _spec is not None and _spec.loader is not None
mock_engine = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mock_engine)

LOCAL = {"name": "here", "networks": ["127.0.0.0/8"], "allow": ["inference", "probes", "metrics"]}
KEY = {"authorization": "Bearer of-tests"}  # for gateways that want one
QUESTION: dict[str, Any] = {"model": "ernie", "messages": [{"role": "user", "content": "你好"}], "temperature": 0}


class MockEngine:
    """bench/mock.py, listening."""

    def __init__(self, **options: Any) -> None:
        standard = {"name": "mock", "tokens": 4, "first": 0.0, "between": 0.0, "fixed": 0, "prefill": None}
        self.options = argparse.Namespace(**(standard | options))
        self.seen: dict[str, Any] = {"requests": 0, "cancelled": 0, "running": 0, "started": 0.0}
        self.url = ""

    async def start(self) -> MockEngine:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: mock_engine.Engine(self.options, self.seen), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def stop(self) -> None:
        self._server.close()


class Running:
    """A gateway that was started, and a client of it."""

    def __init__(self, server: Server, path: Path, client: httpx.AsyncClient) -> None:
        self.server, self.path, self.client = server, path, client
        self.gateway = server.gateway

    async def chat(self, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=QUESTION | fields, headers=headers)

    async def metric(self, name: str) -> float:
        """The value of a line of /metrics, which is named with its labels."""
        text = (await self.client.get("/metrics")).text
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no {name} in\n" + "\n".join(x for x in text.splitlines() if not x.startswith("#")))


def settings(*engines: MockEngine, **more: Any) -> dict[str, Any]:
    replicas = [{"url": engine.url} for engine in engines]
    return {
        "listen": {"port": 0}, "clients": [LOCAL], "models": [{"name": "ernie", "replicas": replicas}],
        "health": {"interval_seconds": 3600}, "drain_seconds": 1,
    } | more  # fmt: skip


@asynccontextmanager
async def running(folder: Path, config: dict[str, Any], *, proven: bool = True) -> AsyncIterator[Running]:
    """Once each engine has shown that it answers, unless `proven` is false."""
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(config))
    server = Server(path)
    await server.start()
    task = asyncio.create_task(server.run())
    assert server.gateway.models is not None
    port = server._listeners[0][1].getsockname()[1]
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=KEY, timeout=20, trust_env=False
        ) as client:
            while proven and not all(
                each.proven for each in server.gateway.models.replicas()
            ):  # each is asked for one token
                await asyncio.sleep(0.01)
            yield Running(server, path, client)
    finally:
        server._stop()
        await task
