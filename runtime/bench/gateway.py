"""What the gateway costs: latency and rate over HTTP and TLS 1.3 beside the bare engine and peers, and streams at once.

    python bench/gateway.py [--seconds 5] [--streams 100 1000] [--peer 'NAME=COMMAND {port} {engine}']...

The engine is bench/mock.py, which answers at once; wrk (Debian's package) asks, over TLS with an API key, since it
brings no client certificate. "a core" is answers a second of CPU time of the process under test, which other work on
the machine changes least. A peer is a command that serves the model `mock` at {port} in front of {engine}.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stand import engine, free_port, process

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gateway"))
from authority import Authority

KEY = "bench-key"
HASH = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()
BODY = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "b " * 400}], "max_tokens": 64})
SCRIPT = f"""wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {KEY}"
"""
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def gateway(url: str, folder: Path, tls: dict[str, Any] | None) -> Iterator[tuple[int, int]]:
    """Its process and port: allowlist by API key, no log of calls, as peers have none."""
    settings: dict[str, Any] = {
        "listen": {"port": free_port(), **({"tls": tls} if tls else {})},
        "clients": [{"name": "bench", "api_keys": [HASH], "allow": ["inference", "probes", "metrics"]}],
        "models": [{"name": "mock", "replicas": [{"url": url, "concurrent": 2048}]}],
        "log": {"calls": False},
    }
    path = folder / "gateway.json"  # JSON is YAML
    path.write_text(json.dumps(settings))
    command = [sys.executable, "-c", "from wxruntime.cli import main; main()", "gateway", "--config", str(path)]
    with process(command, stderr=subprocess.DEVNULL) as started:
        yield started.pid, settings["listen"]["port"]


@contextmanager
def peer(command: str, url: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    words = shlex.split(command.format(port=port, engine=url))
    with process(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        yield started.pid, port


def await_answer(url: str) -> None:
    import ssl
    import urllib.request

    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=loose))
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    end = time.monotonic() + 120
    while True:
        try:
            with opener.open(urllib.request.Request(url, BODY.encode(), headers), timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def family(pid: int) -> list[int]:
    """A process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu(pid: int) -> float:
    """Seconds that a process and those below it have used."""
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS


def memory(pid: int) -> float:
    """MiB that they hold."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def wrk(url: str, connections: int, seconds: int, script: Path) -> tuple[int, float, str, str]:
    """Answers, answers a second, p50, p99."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), "--latency", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if wrong := re.search(r"Non-2xx.*", told):
        raise SystemExit(f"{url}: {wrong[0]}")

    def found(pattern: str) -> str:
        match = re.search(pattern, told)
        assert match is not None, told
        return match[1]

    count, rate = int(found(r"(\d+) requests in")), float(found(r"Requests/sec:\s+(\S+)"))
    return count, rate, found(r"(?m)^\s+50%\s+(\S+)"), found(r"(?m)^\s+99%\s+(\S+)")


def row(name: str, url: str, pid: int | None, seconds: int, script: Path) -> None:
    await_answer(url)
    cells = []
    for connections in (1, 64):
        before = cpu(pid) if pid else 0.0
        count, rate, p50, p99 = wrk(url, connections, seconds, script)
        used = cpu(pid) - before if pid else 0.0
        cells += [p50, p99, f"{rate:.0f}", f"{count / used:.0f}" if used else "-"]
    print(f"| {name} | {' | '.join(cells)} | {f'{memory(pid):.0f}' if pid else '-'} |", flush=True)


async def streams(port: int, count: int, tokens: int) -> tuple[int, float]:
    """How many of so many streams at once came whole, and in how many seconds."""
    body = json.dumps({**json.loads(BODY), "stream": True, "max_tokens": tokens}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    async def one() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        told = await reader.read()
        writer.close()
        return told.count(b"data: {") == tokens + 1 and b"data: [DONE]" in told

    began = time.monotonic()
    whole = await asyncio.gather(*(one() for _ in range(count)))
    return sum(whole), time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="for each figure")
    parser.add_argument("--streams", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    options = parser.parse_args()
    path = "/v1/chat/completions"
    with tempfile.TemporaryDirectory() as folder, engine(fixed=700) as url:
        script = Path(folder) / "ask.lua"
        script.write_text(SCRIPT)
        authority = Authority(Path(folder))
        certificate, key = authority.issue("server")
        tls = {
            "certificate": str(certificate), "key": str(key), "client_ca": str(authority.ca),
            "client_certificate": "optional",
        }  # fmt: skip
        print("| | p50, 1 | p99, 1 | a second | a core | p50, 64 | p99, 64 | a second | a core | MiB |")
        print("|---|---|---|---|---|---|---|---|---|---|")

        def measure(name: str, served: Callable[[], Any], scheme: str = "http") -> None:
            with served() as (pid, port):
                row(name, f"{scheme}://127.0.0.1:{port}{path}", pid, options.seconds, script)

        row("the engine itself", url + path, None, options.seconds, script)
        measure("gateway", lambda: gateway(url, Path(folder), None))
        measure("gateway, TLS 1.3", lambda: gateway(url, Path(folder), tls), "https")
        for each in options.peer:
            name, _, command = each.partition("=")
            measure(name, lambda command=command: peer(command, url))
    with (
        tempfile.TemporaryDirectory() as folder,
        engine(tokens=100, between=0.05) as url,
        gateway(url, Path(folder), None) as (pid, port),
    ):
        await_answer(f"http://127.0.0.1:{port}{path}")
        for count in options.streams:
            before = cpu(pid)
            whole, seconds = asyncio.run(streams(port, count, 100))
            used = 1e6 * (cpu(pid) - before) / (count * 102)
            print(f"{whole} of {count} streams of 100 tokens came whole in {seconds:.1f} s (5.0 s alone), ", end="")
            print(f"{used:.0f} µs of CPU an event, {memory(pid):.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
