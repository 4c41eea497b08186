"""Engines and a gateway as processes, and a lean client that measures them: what the benchmarks of caches share."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(command, text=True, **options)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextmanager
def engine(**options: Any) -> Iterator[str]:
    """The URL of a bench/mock.py with these options."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    with process([sys.executable, str(HERE / "mock.py"), *flags], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        yield "http://127.0.0.1:" + started.stdout.readline().split()[-1]


@contextmanager
def served(checkpoint: Path, name: str) -> Iterator[str]:
    """The URL of our engine with this checkpoint under this name. It is ready."""
    port = free_port()
    command = [sys.executable, "-c", "from wxruntime.cli import main; main()", "engine", "--port", str(port)]
    command += ["--model", str(checkpoint), "--served-model-name", name]
    with process(command, env=os.environ | {"WXRUNTIME_LOG": "warning"}) as started:
        for _ in range(1200):
            if started.poll() is not None:
                raise SystemExit(f"the engine ended with {started.returncode}")
            try:
                fetch(f"http://127.0.0.1:{port}/ready")
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit("the engine did not become ready in two minutes")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateway(engines: list[str], **settings: Any) -> Iterator[int]:
    """The port of a gateway in front of these engines, for the model `mock`. It is ready."""
    replicas = [{"url": url} for url in engines]
    whole = {
        "listen": {"port": free_port()},
        "clients": [{"name": "bench", "networks": ["127.0.0.1/32"], "allow": ["inference", "probes", "metrics"]}],
        "models": [{"name": "mock", "replicas": replicas}],
        "log": {"calls": False},
    } | settings
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_text(yaml.safe_dump(whole))
        code = "from wxruntime.cli import main; main()"
        command = [sys.executable, "-c", code, "gateway", "--config", str(path)]
        with process(command, stderr=subprocess.DEVNULL):
            port = whole["listen"]["port"]
            for _ in range(1200):
                try:
                    told = json.loads(fetch(f"http://127.0.0.1:{port}/ready"))
                    if told["status"] == "ready":
                        break
                except OSError:
                    pass
                time.sleep(0.05)
            else:
                raise SystemExit("the gateway did not become ready in a minute")
            yield port


@contextmanager
def engines(count: int, **options: Any) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [stack.enter_context(engine(**options)) for _ in range(count)]


def fetch(url: str) -> bytes:
    with NO_PROXY.open(url, timeout=5) as answer:
        return bytes(answer.read())


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """Times in seconds from the request's first byte."""

    status: int
    cache: str
    body: bytes
    first: float  # to the answer's first byte
    whole: float


class Client:
    """One connection, kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: dict[str, Any]) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        data = json.dumps(body).encode()
        began = time.perf_counter()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(data), data)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        if "content-length" in headers:
            said = await reader.readexactly(int(headers["content-length"]))
            first = time.perf_counter() - began
        else:
            pieces, first = [], 0.0
            while size := int(await reader.readline(), 16):
                pieces.append(await reader.readexactly(size))
                first = first or time.perf_counter() - began
                await reader.readexactly(2)
            await reader.readexactly(2)
            said = b"".join(pieces)
        whole = time.perf_counter() - began
        return Answer(int(head.split()[1]), headers.get("x-cache", "-").upper(), said, first, whole)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def load() -> str:
    return "{:.1f}, {:.1f}, {:.1f} (1, 5 and 15 minutes)".format(*os.getloadavg())


def header() -> str:
    """When, where and of what the figures are, and what printed them."""
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=HERE).stdout
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    facts = {
        "command": shlex.join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "revision": said.strip() or "no git",
        "machine": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "load": load(),
    }
    return "\n".join(f"{name:10}{fact}" for name, fact in facts.items())


def family(pid: int) -> list[int]:
    """A process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def memory(pid: int) -> float:
    """MiB that they hold; pages that two share are counted once (PSS)."""
    held = 0
    for each in family(pid):
        found = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text())
        held += int(found[1]) if found else 0
    return held / 1024
