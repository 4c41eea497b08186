"""A stream goes through byte for byte, wherever the network cuts it, and its tokens are counted all the same."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import Engine, Gateway, chat, model

from wxruntime.gateway.exchange import Usage
from wxruntime.gateway.upstream import Connection, Pool, UpstreamError
from wxruntime.gateway.usage import StreamUsage

TEXTS = ["", "a", "文心", "\\n\\ndata: ", '"usage":{"prompt_tokens":99}', "🙂" * 5]


def stream(texts: list[str], told: bool, end: str) -> bytes:
    """A stream as an engine sends it, lines ended by `end`."""
    bodies: list[dict[str, Any]] = [{"choices": [{"delta": {"content": text}}], "usage": None} for text in texts]
    if told:
        bodies.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(texts)}})
    events = [f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}" for body in bodies]
    return "".join(event + end * 2 for event in [": hello", *events, "data: [DONE]"]).encode()


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    for start, stop in pairwise(edges):
        yield data[start:stop]


@given(
    texts=st.lists(st.sampled_from(TEXTS), max_size=8),
    told=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    places=st.lists(st.integers(0, 10_000), max_size=30),
)
def test_tokens_are_counted_wherever_a_stream_is_cut(texts: list[str], told: bool, end: str, places: list[int]) -> None:
    usage = Usage()
    reader = StreamUsage(usage)
    for piece in cut(stream(texts, told, end), places):
        reader.feed(piece)
    reader.end()
    assert reader.done
    assert (usage.completion, usage.exact) == (len(texts), told)
    assert usage.prompt == (7 if told else 0)


class Wire:
    """Stands where a socket would be."""

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6),
    chunks=st.lists(st.integers(0, 10_000), max_size=10),
    places=st.lists(st.integers(0, 10_000), max_size=30),
    whole=st.booleans(),
)
def test_bytes_are_the_same_wherever_chunks_and_packets_are_cut(
    texts: list[str], chunks: list[int], places: list[int], whole: bool
) -> None:
    body = stream(texts, True, "\n")
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, chunks))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    wire = head + framed + (b"0\r\n\r\n" if whole else b"")

    async def read() -> tuple[bytes, bool]:
        connection = Connection(Pool("h", 1, None, 1, 1, 1 << 20))
        connection.connection_made(Wire())  # type: ignore[arg-type]
        asking = asyncio.ensure_future(connection.ask(b"", b"", 60, 60))
        await asyncio.sleep(0)
        got, broke = b"", False
        for piece in cut(wire, places):
            connection.data_received(piece)
        if not whole:
            connection.connection_lost(None)
        await asking
        try:
            while piece := await connection.piece():
                got += piece
        except UpstreamError:
            broke = True
        return got, broke

    assert asyncio.run(read()) == (body, not whole)


async def _ragged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    """An engine that sends its stream in random pieces."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    rng = random.Random(len(body))
    at = 0
    while at < len(body):
        step = rng.choice([1, 2, 3, 50, 500])
        writer.write(body[at : at + step])
        at += step
        await writer.drain()
        await asyncio.sleep(0)
    writer.close()


def test_what_an_engine_streams_comes_to_the_client_byte_for_byte(gateway: Callable[..., Gateway]) -> None:
    body = stream(TEXTS * 20, True, "\n")

    async def through() -> bytes:
        server = await asyncio.start_server(lambda r, w: _ragged(r, w, body), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"models": [{"name": "m", "probe": "health", "replicas": [{"url": url}]}]}
        running = await asyncio.to_thread(lambda: gateway(**settings))
        asked = {"stream": True, "stream_options": {"include_usage": True}}
        answer = await asyncio.to_thread(lambda: running.chat(**asked))
        server.close()
        return answer.content

    assert asyncio.run(through()) == body


@pytest.mark.parametrize("streams", [64])
def test_many_streams_at_once_lose_no_event(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], streams: int
) -> None:
    running = gateway(models=[model(engine(tokens=50, between=0.01), probe="health")])

    async def one(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps(chat(stream=True)).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        told = await reader.read()
        writer.close()
        return told.count(b"data: ") if b"[DONE]" in told else -1

    async def all_of_them() -> set[int]:
        return set(await asyncio.gather(*(one(running.port) for _ in range(streams))))

    assert asyncio.run(all_of_them()) == {52}, "50 tokens, the reason, the end"
