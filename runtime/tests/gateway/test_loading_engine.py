"""An engine that still loads its model says 503 and Retry-After, as one does that is full; only the latter is ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from calls import in_loop
from running import MockEngine, running, settings


@pytest.mark.parametrize(("code", "ready"), [("not_ready", 503), ("queue_full", 200)])
@in_loop
async def test_a_gateway_is_ready_when_an_engine_is(tmp_path: Path, code: str, ready: int) -> None:
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b'{"error": {"message": "not now", "code": "%b"}}' % code.encode()
        writer.write(b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        if head.startswith(b"POST"):
            asked.set()
        writer.close()

    server, engine = await asyncio.start_server(answer, "127.0.0.1", 0), MockEngine()
    engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running(tmp_path, settings(engine), proven=False) as gateway:
        await asked.wait()
        await asyncio.sleep(0.2)
        assert (await gateway.client.get("/ready")).status_code == ready
    server.close()
