"""What a reload takes up beside the allowlist: keys for engines, certificates of an edge, limits of requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from calls import in_loop
from running import MockEngine, running, settings


@asynccontextmanager
async def engine_that_tells_keys(held: asyncio.Event | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """Answers everything with a whole chat, once `held` is set, and notes the key that it was asked with."""
    seen: list[str] = []
    body = b'{"choices":[{"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            seen.append(fields.get("authorization", ""))
            if held is not None:
                await held.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


@in_loop
async def test_a_new_key_for_an_engine_is_used_as_soon_as_its_file_has_it(tmp_path: Path) -> None:
    key = tmp_path / "engine.key"
    key.write_text("old")
    async with engine_that_tells_keys() as (url, seen):
        model = {"name": "ernie", "replicas": [{"url": url, "api_key_file": str(key)}]}
        async with running(tmp_path, settings(models=[model])) as gateway:
            key.write_text("another")
            while "Bearer another" not in seen:
                assert (await gateway.chat()).status_code == 200
                await asyncio.sleep(0.1)
            key.write_text("not one\nword")
            while not await gateway.metric('wxops_gateway_reload_failed{what="config"}'):
                await asyncio.sleep(0.1)
            assert (await gateway.chat()).status_code == 200
    assert set(seen) == {"Bearer old", "Bearer another"}


@in_loop
async def test_limits_of_requests_hold_for_connections_made_after_a_reload(tmp_path: Path) -> None:
    engine = await MockEngine().start()
    config = settings(engine)
    async with running(tmp_path, config) as gateway:
        assert (await gateway.chat()).status_code == 200
        gateway.path.write_text(yaml.safe_dump(config | {"requests": {"body_bytes": 10}}))
        await gateway.server.reload()
        told = await gateway.chat(headers={"connection": "close"})
        assert told.status_code == 200, "a connection keeps those that it was made under"
        assert (await gateway.chat()).status_code == 413


@in_loop
async def test_who_waits_in_the_queue_goes_to_the_replicas_of_now(tmp_path: Path) -> None:
    new, let_go = await MockEngine().start(), asyncio.Event()
    async with engine_that_tells_keys(let_go) as (old, seen):
        config = settings(models=[{"name": "ernie", "replicas": [{"url": old, "concurrent": 1}]}])
        async with running(tmp_path, config, proven=False) as gateway:
            gate = gateway.gateway.admission.gates["ernie"]
            first = asyncio.create_task(gateway.chat())
            while not gate.running:
                await asyncio.sleep(0.01)
            waits = asyncio.create_task(gateway.chat())
            while not gate.queue.length:
                await asyncio.sleep(0.01)
            gateway.path.write_text(yaml.safe_dump(settings(new)))
            await gateway.server.reload()
            assert (await waits).status_code == 200, "it waits for no place at the one that has left"
            assert (gate.running, gate.taken) == (1, 0)
            asked = len(seen)
            let_go.set()
            assert (await first).status_code == 200, "what ran there ends there"
            assert (len(seen), gate.running, gate.taken) == (asked, 0, 0)
    assert new.seen["requests"]
