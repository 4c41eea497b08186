"""Answers kept together by several gateways, in a real Redis: one that is down, slow or of others is no error."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caches import asked, made
from calls import Engine, in_loop
from running import MockEngine, running, settings

from wxruntime.gateway import config
from wxruntime.gateway.recorded import Recorded
from wxruntime.gateway.shared_store import SharedStore

SERVER = shutil.which("valkey-server") or shutil.which("redis-server") or "redis-server"  # Debian's, in packages.txt
ANSWER = Recorded(False, b"application/json", b"{}", b"", b"", 5, 2, 1.0)


class Server:
    """A store that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text("secret\n")
        self.start()

    def start(self) -> None:
        command = [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self.process = subprocess.Popen([*command, "--requirepass", "secret"], stdout=subprocess.DEVNULL)
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.025)
        raise RuntimeError(f"{SERVER} does not listen")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def store(self, **settings: Any) -> SharedStore:
        standard = {"host": "127.0.0.1", "port": self.port, "password_file": self._folder / "password"}
        return SharedStore(
            config.SharedCache.model_validate(standard | {"timeout_seconds": 2.0} | settings), ttl_seconds=60
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("redis"))
    yield started
    started.stop()


async def written(store: SharedStore) -> None:
    await asyncio.gather(*store._writes)


@in_loop
async def test_what_is_put_is_there_for_another_gateway(server: Server) -> None:
    one, other = server.store(), server.store()
    one.put(b"slot1w", ANSWER)
    await written(one)
    assert await other.get(b"slot1w") == ANSWER
    assert await other.get(b"slot2w") is None
    assert await other.get(b"slot1s") is None
    await one.close()
    await other.close()


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_a_second_gateway_answers_what_the_first_was_told(server: Server, stream: bool) -> None:
    engine, stores = Engine(), (server.store(namespace=f"two-{stream}"), server.store(namespace=f"two-{stream}"))
    one, other = (made(shared=store) for store in stores)
    first = await asked(one, engine, stream=stream)
    await written(stores[0])
    assert await asked(other, engine, stream=stream) == ("HIT", first[1])
    for store in stores:
        await store.close()


@in_loop
async def test_entries_end_with_their_time(server: Server) -> None:
    store = SharedStore(server.store()._settings, ttl_seconds=0.05)
    store.put(b"shortw", ANSWER)
    await written(store)
    await asyncio.sleep(0.1)
    assert await store.get(b"shortw") is None
    await store.close()


@pytest.mark.parametrize(
    "said", [b"", b"nonsense", b"\x93\x01\x02\x03", b"\x99\x02\xc2\xc4\x00\xc4\x00\xc4\x00\xc4\x00\x01\x01\x01"]
)
@in_loop
async def test_what_somebody_else_has_written_there_is_no_answer(server: Server, said: bytes) -> None:
    store = server.store()
    await store._client.set(store._name(b"odd-w"), said)
    assert await store.get(b"odd-w") is None
    assert store.failures == 0
    await store.close()


@in_loop
async def test_a_store_that_is_down_is_passed_by_and_taken_up_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        store = server.store()
        cache, engine = made(shared=store), Engine()
        server.stop()
        assert (await asked(cache, engine))[0] == "MISS"
        assert store.failures == 1 and store.passed_by
        began = time.monotonic()
        assert (await asked(cache, engine, seed=1))[0] == "MISS"
        assert (await asked(cache, engine))[0] == "HIT"  # what is in memory stays
        assert store.failures == 1 and time.monotonic() - began < 0.5
        server.start()
        store._again = 0.0  # its second is over
        await asked(cache, engine, seed=2)
        await written(store)
        assert await server.store().get(b"none-w") is None
        assert not store.passed_by
        await store.close()
    finally:
        server.stop()


@in_loop
async def test_a_store_that_hangs_costs_its_time_limit_once(tmp_path: Path) -> None:
    hanging = await asyncio.start_server(lambda reader, writer: asyncio.sleep(30), "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    settings = config.SharedCache(host="127.0.0.1", port=port, timeout_seconds=0.1)
    store = SharedStore(settings, ttl_seconds=60)
    began = time.monotonic()
    for _ in range(20):
        assert await store.get(b"slot-w") is None
    assert time.monotonic() - began < 1.5
    assert store.failures == 1
    await store.close()
    hanging.close()


@in_loop
async def test_a_wrong_password_is_a_store_that_is_down(server: Server, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("guess")
    store = server.store(password_file=tmp_path / "wrong")
    assert await store.get(b"slot-w") is None
    assert store.passed_by
    await store.close()


@in_loop
async def test_two_gateways_that_are_configured_so_share_their_answers(server: Server, tmp_path: Path) -> None:
    engine = await MockEngine().start()
    password = tmp_path / "password"
    password.write_text("secret")
    store = {"host": "127.0.0.1", "port": server.port, "password_file": str(password), "namespace": "gateways"}
    shared = settings(engine, cache={"shared": store | {"timeout_seconds": 2.0}})
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with running(tmp_path / "one", shared) as one, running(tmp_path / "other", shared) as other:
        assert (await one.chat()).headers["x-cache"] == "MISS"
        assert one.gateway.cache is not None
        await asyncio.gather(*one.gateway.cache.shared._writes)
        assert (await other.chat()).headers["x-cache"] == "HIT"
        assert await other.metric("wxops_gateway_cache_shared_failures_total") == 0
