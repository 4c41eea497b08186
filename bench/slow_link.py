"""A link with a long round trip: a TCP relay that holds every byte back for half of it, each way."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK = 256 * 1024


@contextlib.contextmanager
def slow_link(host: str, port: int, round_trip: float) -> Iterator[int]:
    """The port on 127.0.0.1 that leads to host:port; round_trip in seconds. As many bytes a second as come."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(host, port)
        ways = (_pass_on(reader, there[1], round_trip / 2), _pass_on(there[0], writer, round_trip / 2))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*ways)

    def call(work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, loop).result()  # type: ignore[arg-type]

    server = call(asyncio.start_server(accept, "127.0.0.1", 0))
    assert isinstance(server, asyncio.Server)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        call(_end_all())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_all() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Every chunk leaves `delay` seconds after it came; chunks that come meanwhile do not wait for each other."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                waiting.put_nowait((loop.time() + delay, data))
        waiting.put_nowait((loop.time() + delay, b""))

    reading = asyncio.create_task(read())
    with contextlib.suppress(ConnectionError):
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
    writer.close()
    await reading
