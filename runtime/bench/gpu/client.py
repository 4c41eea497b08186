"""Streams from an OpenAI-compatible server, many at once: a process for each 32, so that the client is not the limit.

Tokens are the server's own count (usage); TTFT is when the first event came. A burst lasts from the first request sent
to the last byte received. Times are of time.perf_counter(), which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from points import prompt

STREAMS = 32  # of a process
# What makes an answer as long as was asked for, and brings the count, where a server has both.
EXACT = {"ignore_eos": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True)
class Load:
    """`batch` requests at once, all begun together."""

    port: int
    model: str
    batch: int
    tokens: int
    made: int
    fields: dict[str, Any] = field(default_factory=lambda: EXACT)
    seconds: float = 600.0  # for a request


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one request: when it was sent, when its first event came and its last byte; tokens, events."""

    began: float
    first: float
    last: float
    tokens: int
    events: int

    @property
    def took(self) -> float:
        return self.last - self.began

    @property
    def ttft(self) -> float:
        return self.first - self.began


async def ask(load: Load, text: list[int] | str, at: float) -> Heard:
    body = {
        "model": load.model,
        "prompt": text,
        "max_tokens": load.made,
        "temperature": 0,
        "stream": True,
    } | load.fields
    raw = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port, limit=1 << 24)
    await asyncio.sleep(max(0.0, at - time.time()))
    began = time.perf_counter()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n".encode() + raw)
    first = last = 0.0
    events, tail = 0, b""
    while chunk := await reader.read(1 << 20):
        last = time.perf_counter()
        found = chunk.count(b"data: {")
        if found and not events:
            first = last
        events += found
        tail = (tail + chunk)[-4096:]
    writer.close()
    at_usage = tail.rfind(b'"completion_tokens":')
    if at_usage < 0:
        raise SystemExit(f"no usage in the answer: {tail[-400:]!r}")
    tokens = int(tail[at_usage:].split(b":", 2)[1].split(b",")[0].split(b"}")[0])
    return Heard(began, first, last, tokens, events)


def _some(load: Load, texts: list[list[int]] | list[str], at: float) -> list[Heard]:
    async def together() -> list[Heard]:
        async with asyncio.timeout(load.seconds):
            return list(await asyncio.gather(*[ask(load, text, at) for text in texts]))

    return asyncio.run(together())


def measure(load: Load, prompts: list[str] | list[list[int]] | None = None) -> tuple[float, list[Heard]]:
    """Seconds from the first sent to the last received, and what each has heard.

    The prompts are fresh random ids unless given.
    """
    texts = prompts or [prompt(load.tokens) for _ in range(load.batch)]
    at = time.time() + (0.5 if load.batch > 1 else 0.1)
    parts = [texts[start : start + STREAMS] for start in range(0, load.batch, STREAMS)]
    if len(parts) == 1:
        heard = _some(load, parts[0], at)
    else:
        with multiprocessing.get_context("fork").Pool(len(parts)) as pool:
            heard = [each for part in pool.starmap(_some, [(load, part, at) for part in parts]) for each in part]
    return max(each.last for each in heard) - min(each.began for each in heard), heard


def wait_ready(process: subprocess.Popen[bytes], port: int, seconds: float) -> None:
    until = time.time() + seconds
    while time.time() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("the server did not become ready")
