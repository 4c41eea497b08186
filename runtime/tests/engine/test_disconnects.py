"""Clients that leave at any moment leave nothing behind: no task, no socket, no block of the KV cache.

WXRUNTIME_STREAMS says how many come; `make soak` sends a thousand.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fake import engine_over

from wxruntime.backends.base import Load
from wxruntime.backends.transformers import load
from wxruntime.checkpoint import read_checkpoint
from wxruntime.engine.engine import Engine
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.routes import Api
from wxruntime.engine.service import Service
from wxruntime.tiny_text import ENDLESS_QUESTION
from wxruntime.tokenizer import TextTokenizer

STREAMS = int(os.environ.get("WXRUNTIME_STREAMS", "100"))
AT_ONCE = 24


class Unmanaged(uvicorn.Server):
    """uvicorn in a loop that is the test's: it leaves signals alone."""

    def install_signal_handlers(self) -> None: ...

    async def serve_here(self) -> None:
        await self._serve()


def sockets() -> int:
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return sum(link.is_symlink() and os.readlink(link).startswith("socket:") for link in links if link.is_symlink())


async def leave(port: int, chance: random.Random) -> None:
    """Ask, read a little or nothing, and close without a word; a few stay to the end, a quarter want a prompt told."""
    stream, patience = chance.random() < 0.7, chance.choice([0, 0, 200, 1000, 4000, 10**6])
    most = 12 if patience == 10**6 else 400
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": ENDLESS_QUESTION}]}
    if told := chance.random() < 0.25:
        asked = {"prompt": ENDLESS_QUESTION * chance.randrange(1, 200), "echo": True, "logprobs": 2}
    asked |= {"model": "tiny", "max_tokens": most, "stream": stream, "n": chance.choice([1, 1, 2])}
    body = json.dumps(asked).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/v1/completions" if told else "/v1/chat/completions"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    if not stream and patience < 10**6:
        await asyncio.sleep(chance.random() * 0.2)
    while patience > 0 and (piece := await reader.read(min(patience, 4096))):
        patience -= len(piece)
    writer.transport.abort()


async def settled(engine: Engine, tasks: int) -> None:
    """What was left has reached the model's loop, and come back."""
    async with asyncio.timeout(60):
        while engine.progress().running + engine.progress().waiting or len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.05)


def test_clients_that_leave_at_random_leave_nothing_behind(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = read_checkpoint(tiny)
    tokenizer, backend = TextTokenizer(checkpoint), load(Load(tiny, device="cpu", max_sequences=16))

    async def test() -> None:
        async with engine_over(backend, tokenizer.tokens, queue_size=100) as engine:
            monkeypatch.setattr(engine, "start", engine_is_started)
            monkeypatch.setattr(engine, "stop", engine_is_started)
            service = Service(engine, checkpoint, tokenizer, Metrics("tiny"), ("tiny",), stall_s=60)
            config = uvicorn.Config(Api(service).app(), port=0, log_config=None, access_log=False)
            server = Unmanaged(config)
            serving = asyncio.create_task(server.serve_here())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            chance, gate = random.Random(9), asyncio.Semaphore(AT_ONCE)
            await leave(port, chance)
            await settled(engine, len(asyncio.all_tasks()))
            tasks, open_sockets = len(asyncio.all_tasks()), sockets()

            async def client() -> None:
                async with gate:
                    await leave(port, chance)

            await asyncio.gather(*[client() for _ in range(STREAMS)])
            await settled(engine, tasks)
            gc.collect()
            assert sockets() <= open_sockets
            assert (len(engine._answers), len(engine._waiting)) == (0, 0)
            assert engine.usage.kv_used == backend.usage().kv_used == 0
            assert not backend._drawing.running and not backend._batch.scheduler.active_requests
            assert not backend._drawing.scored and not backend._drawing.looks
            server.should_exit = True
            await serving
            monkeypatch.undo()

    asyncio.run(asyncio.wait_for(test(), 600))


async def engine_is_started() -> None:
    """The test has started it, and stops it."""
