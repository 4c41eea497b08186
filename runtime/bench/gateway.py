"""What the gateway costs: latency and rate over HTTP and TLS 1.3 beside the bare engine and peers, and streams at once.

    python bench/gateway.py [--seconds 5] [--streams 100 1000] [--peers DIRECTORY]

The engine is bench/mock.py, which answers at once. wrk (Debian's package) asks, with an API key; it brings no client
certificate, so where the gateway demands one ab does (Debian's apache2-utils). p50 and p99 are milliseconds, of the
proxies what they add to the engine's own. "a core" is answers a second of CPU time of the process under test, which
other work on the machine changes least. DIRECTORY is what scripts/bench-peers.sh made.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_peers import litellm, nginx, vllm_router
from stand import engine, family, free_port, header, load, memory, process

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
PATH = "/v1/chat/completions"
CLIENT = "bench-client.pem"  # certificate and key
KEYS: dict[str, Any] = {"api_keys": [HASH]}
CERTIFICATES: dict[str, Any] = {"certificates": [{"subject": "CN=bench,O=Example"}]}
STREAM_TOKENS, BETWEEN_S, STREAM_S = 100, 0.05, 60  # a stream that takes longer is lost


@contextmanager
def gateway(
    url: str, folder: Path, tls: dict[str, Any] | None, known_by: dict[str, Any] = KEYS
) -> Iterator[tuple[int, int]]:
    """Its process and port: an allowlist, no log of calls, as peers have none."""
    settings: dict[str, Any] = {
        "listen": {"port": free_port(), **({"tls": tls} if tls else {})},
        "clients": [{"name": "bench", **known_by, "allow": ["inference", "probes", "metrics"]}],
        "models": [{"name": "mock", "replicas": [{"url": url, "concurrent": 2048}]}],
        "log": {"calls": False},
    }
    path = folder / "gateway.json"  # JSON is YAML
    path.write_text(json.dumps(settings))
    command = [sys.executable, "-c", "from wxruntime.cli import main; main()", "gateway", "--config", str(path)]
    with process(command, stderr=subprocess.DEVNULL) as started:
        yield started.pid, settings["listen"]["port"]


def loose(certificate: Path | None) -> ssl.SSLContext:
    """Takes any server, and brings this certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def await_answer(url: str, certificate: Path | None = None) -> None:
    secure = urllib.request.HTTPSHandler(context=loose(certificate))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
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


def cpu(pid: int) -> float:
    """Seconds that a process and those below it have used."""
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS


@dataclass(frozen=True, slots=True)
class Asked:
    """What a load tool saw: answers, answers a second, percentiles in milliseconds."""

    count: int
    rate: float
    p50: float
    p99: float


def found(pattern: str, told: str) -> str:
    match = re.search(pattern, told)
    assert match is not None, told
    return match[1]


def wrk(url: str, connections: int, seconds: int, folder: Path) -> Asked:
    script = folder / "ask.lua"
    script.write_text(SCRIPT)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), "--latency", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if wrong := re.search(r"Non-2xx.*|Socket errors.*", told):
        print(f"{url}: {wrong[0]}", file=sys.stderr)

    def time_of(share: int) -> float:
        value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", found(rf"(?m)^\s+{share}%\s+(\S+)", told)).groups()
        return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]

    count, rate = int(found(r"(\d+) requests in", told)), float(found(r"Requests/sec:\s+(\S+)", told))
    return Asked(count, rate, time_of(50), time_of(99))


def ab(url: str, connections: int, seconds: int, folder: Path) -> Asked:
    """With the client certificate in `folder`."""
    body, table = folder / "body", folder / "ab.csv"
    body.write_text(BODY)
    command = ["ab", "-k", "-q", f"-t{seconds}", "-n1000000", f"-c{connections}", "-p", str(body)]
    command += ["-T", "application/json", "-E", str(folder / CLIENT), "-f", "TLS1.3", "-e", str(table), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if wrong := re.search(r"Non-2xx.*|Failed requests:\s+[1-9].*", told):
        print(f"{url}: {wrong[0]}", file=sys.stderr)
    times = dict(line.split(",") for line in table.read_text().splitlines()[1:])
    count, rate = int(found(r"Complete requests:\s+(\d+)", told)), float(found(r"Requests per second:\s+(\S+)", told))
    return Asked(count, rate, float(times["50"]), float(times["99"]))


class Table:
    """Its first row is the engine itself; of the others the percentiles are what they add."""

    def __init__(self, seconds: int, folder: Path) -> None:
        self._seconds, self._folder = seconds, folder
        self._bare: list[Asked] = []
        self.rates: dict[str, tuple[float, float]] = {}  # at 64 connections: a second, a core
        print("| | p50, 1 | p99, 1 | a second | a core | p50, 64 | p99, 64 | a second | a core | MiB |")
        print("|---|---|---|---|---|---|---|---|---|---|")

    def row(self, name: str, url: str, pid: int | None, tool: Callable[..., Asked] = wrk) -> None:
        await_answer(url, self._folder / CLIENT if tool is ab else None)
        cells, seen = [], []
        for at, connections in enumerate((1, 64)):
            before = cpu(pid) if pid else 0.0
            asked = tool(url, connections, self._seconds, self._folder)
            used = cpu(pid) - before if pid else 0.0
            seen.append(asked)
            if self._bare:
                cells += [f"{asked.p50 - self._bare[at].p50:+.2f}", f"{asked.p99 - self._bare[at].p99:+.2f}"]
            else:
                cells += [f"{asked.p50:.2f}", f"{asked.p99:.2f}"]
            cells += [f"{asked.rate:,.0f}", f"{asked.count / used:,.0f}" if used else "-"]
            self.rates[name] = asked.rate, asked.count / used if used else 0.0
        self._bare = self._bare or seen
        print(f"| {name} | {' | '.join(cells)} | {f'{memory(pid):.0f}' if pid else '-'} |", flush=True)


async def streams(port: int, count: int, tokens: int, context: ssl.SSLContext | None) -> tuple[int, float]:
    """How many of so many streams at once came whole, and in how many seconds."""
    body = json.dumps({**json.loads(BODY), "stream": True, "max_tokens": tokens}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    async def one() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(head.encode() + body)
        try:
            async with asyncio.timeout(STREAM_S):
                told = await reader.read()
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return all(b'"w%d "' % token in told for token in range(tokens)) and b"data: [DONE]" in told

    began = time.monotonic()
    whole = await asyncio.gather(*(one() for _ in range(count)))
    return sum(whole), time.monotonic() - began


def stream_row(name: str, pid: int, port: int, count: int, context: ssl.SSLContext | None) -> None:
    before = cpu(pid)
    whole, seconds = asyncio.run(streams(port, count, STREAM_TOKENS, context))
    used = 1e6 * (cpu(pid) - before) / (count * (STREAM_TOKENS + 2))
    print(f"| {name} | {count} | {whole} | {seconds:.1f} | {used:.0f} | {memory(pid):.0f} |", flush=True)


def compare(rates: dict[str, tuple[float, float]]) -> None:
    """How many times a peer's answers the gateway gives, a second and a core."""
    peers = [name for name, (_, a_core) in rates.items() if a_core and not name.startswith("gateway")]
    if not peers:
        return
    print(f"\n| times, at 64: a second / a core | {' | '.join(peers)} |")
    print("|---" * (len(peers) + 1) + "|")
    for name in (each for each in rates if each.startswith("gateway")):
        pairs = [[mine / theirs for mine, theirs in zip(rates[name], rates[peer], strict=True)] for peer in peers]
        print(f"| {name} | {' | '.join(f'{second:.2f} / {core:.2f}' for second, core in pairs)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="for each figure")
    parser.add_argument("--streams", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--peers", type=Path, help="what scripts/bench-peers.sh made")
    options = parser.parse_args()
    print(header(), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = Authority(folder)
        certificate, key = authority.issue("server")
        files = {"certificate": str(certificate), "key": str(key)}
        tls = files | {"client_ca": str(authority.ca), "client_certificate": "optional"}
        (folder / CLIENT).write_bytes(b"".join(each.read_bytes() for each in authority.issue("bench")))

        def fronts(url: str) -> Iterator[tuple[str, str, Callable[[], Any], Callable[..., Asked]]]:
            """Name, scheme, what starts it, and what asks it."""
            yield "gateway", "http", lambda: gateway(url, folder, None), wrk
            yield "gateway, TLS 1.3", "https", lambda: gateway(url, folder, tls), wrk
            mutual = tls | {"client_certificate": "required"}
            yield (
                "gateway, TLS 1.3, client certificate",
                "https",
                lambda: gateway(url, folder, mutual, CERTIFICATES),
                ab,
            )
            if options.peers:
                home = options.peers.resolve()
                proxies = [litellm(home, folder, url, KEY), vllm_router(home, url), nginx(folder, url, None)]
                for each in [*proxies, nginx(folder, url, files)]:
                    yield each.name, each.scheme, each.running, wrk

        with engine(fixed=700) as url:
            table = Table(options.seconds, folder)
            table.row("the engine itself", url + PATH, None)
            for name, scheme, served, tool in fronts(url):
                with served() as (pid, port):
                    table.row(name, f"{scheme}://127.0.0.1:{port}{PATH}", pid, tool)
        compare(table.rates)
        print(f"\nStreams of {STREAM_TOKENS} tokens, one each {BETWEEN_S} s; alone {STREAM_TOKENS * BETWEEN_S:.1f} s\n")
        print("| | at once | whole | seconds | µs of CPU an event | MiB |\n|---|---|---|---|---|---|")
        with engine(tokens=STREAM_TOKENS, between=BETWEEN_S) as url:
            for name, scheme, served, _ in fronts(url):
                if name.startswith("nginx"):  # it buffers; the floor is a floor for answers
                    continue
                with served() as (pid, port):
                    mine = loose(folder / CLIENT) if scheme == "https" else None
                    await_answer(f"{scheme}://127.0.0.1:{port}{PATH}", folder / CLIENT)
                    for count in options.streams:
                        stream_row(name, pid, port, count, mine)
    print(f"\nload at the end {load()}")


if __name__ == "__main__":
    main()
