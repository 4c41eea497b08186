"""What the server costs in front of a backend: 256 streams over a model of fixed speed, without a model.

python bench/front.py MODEL [--streams 256] [--tokens 400] [--step-ms 5.7] [--profile OUT.svg]

MODEL is a directory of `wxruntime tiny`; only its tokenizer is used. Prints tokens a second at the clients, the tokens
that an event carried, and, which other work on the machine cannot change, the CPU time of the server's process for a
token: its reciprocal is what one core could bring out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import uvicorn

from wxruntime.backends.base import Limits, Load, Sequence, Step, Usage
from wxruntime.checkpoint import read_checkpoint
from wxruntime.engine.core import Core
from wxruntime.engine.engine import Engine
from wxruntime.engine.link import Start, received
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.routes import Api
from wxruntime.engine.service import Service
from wxruntime.tokenizer import TextTokenizer

NAME = "paced"


class Paced:
    """A token for each sequence every `step_s`, as from a model whose speed does not depend on the batch."""

    gather_s = 0.0

    def __init__(self, streams: int, step_s: float) -> None:
        self.limits = Limits(context_length=8192, max_sequences=streams, kv_tokens=streams * 8192)
        self._step_s, self._due = step_s, 0.0
        self._running: dict[int, list[int]] = {}
        self._begun: list[int] = []

    def prove(self) -> None:
        """It is always sound."""

    def admit(self, sequences: list[Sequence]) -> None:
        for each in sequences:
            chance = random.Random(each.id)
            self._running[each.id] = [chance.randrange(6, 400) for _ in range(each.sampling.max_tokens)]
            self._begun.append(each.id)

    def drop(self, ids: list[int]) -> None:
        for id_ in ids:
            self._running.pop(id_, None)

    def step(self) -> Step:
        now = time.monotonic()
        self._due = max(self._due + self._step_s, now)
        time.sleep(self._due - now)
        step = Step(started=[(id_, 0) for id_ in self._begun], processed=len(self._running))
        self._begun = []
        for id_, left in list(self._running.items()):
            step.tokens.append((id_, left.pop()))
            if not left:
                step.finished.append((id_, "length"))
                del self._running[id_]
        return step

    def usage(self) -> Usage:
        return Usage()

    def reset(self) -> None:
        self._running.clear()

    def close(self) -> None:
        """It holds nothing."""


class PacedEngine(Engine):
    """An engine whose child is this file."""

    def __init__(self, *arguments: object, streams: int, step_ms: float, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._child = [sys.executable, __file__, "--core", str(streams), str(step_ms)]

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen([*self._child, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        theirs.close()
        await self.connect(ours)


def run_core(streams: int, step_ms: float, descriptor: int) -> None:
    import threading

    connection = socket.socket(fileno=descriptor)
    core = Core(connection, lambda: Paced(streams, step_ms / 1e3))

    def read() -> None:
        for message in received(connection):
            core.deliver(message)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    core.run()


def run_server(model: Path, port: int, streams: int, step_ms: float) -> None:
    checkpoint = read_checkpoint(model)
    tokenizer, metrics = TextTokenizer(checkpoint), Metrics(NAME)
    engine = PacedEngine(
        Start("", Load(model)),
        tokenizer.tokens,
        metrics,
        queue_size=streams,
        on_failure=lambda: os._exit(1),
        streams=streams,
        step_ms=step_ms,
    )
    service = Service(engine, checkpoint, tokenizer, metrics, (NAME,), stall_s=60)
    uvicorn.run(Api(service).app(), port=port, log_level="warning", access_log=False)


async def stream(port: int, tokens: int) -> tuple[int, float, float]:
    """Events, and when the first and the last came."""
    body = json.dumps(
        {"model": NAME, "prompt": [7] * 128, "max_tokens": tokens, "stream": True, "ignore_eos": True, "temperature": 0}
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    events, first = 0, 0.0
    while piece := await reader.read(1 << 16):
        if found := piece.count(b"data: {"):
            events += found
            first = first or time.monotonic()
    writer.close()
    return events, first, time.monotonic()


def answers(port: int) -> bool:
    try:
        return asyncio.run(stream(port, 1))[0] > 0
    except OSError:
        return False


def cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(port: int, server: int, streams: int, tokens: int) -> None:
    began, cpu = time.monotonic(), cpu_s(server)
    told = await asyncio.gather(*[stream(port, tokens) for _ in range(streams)])
    took, cpu = max(last for _, _, last in told) - began, cpu_s(server) - cpu
    made = streams * tokens
    events = sum(each for each, _, _ in told)
    print(
        f"{streams} streams of {tokens}: {made / took:,.0f} tok/s at the clients, {made / events:.2f} tokens an event, "
        f"{1e6 * cpu / made:.1f} us of the server's CPU a token: {made / cpu:,.0f} tok/s from one core"
    )


def main() -> None:
    if sys.argv[1] == "--core":
        run_core(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--step-ms", type=float, default=5.7, help="256 streams at 45,000 tokens a second")
    parser.add_argument("--profile", type=Path, help="a flame graph of the server, by py-spy")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        run_server(asked.model, asked.serve, asked.streams, asked.step_ms)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pace = ["--streams", str(asked.streams), "--step-ms", str(asked.step_ms)]
    server = subprocess.Popen([sys.executable, __file__, str(asked.model), "--serve", str(port), *pace])
    try:
        until = time.monotonic() + 180
        while not answers(port):
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        asyncio.run(measure(port, server.pid, asked.streams, 20))
        spy = None
        if asked.profile:
            spy = subprocess.Popen(["py-spy", "record", "-p", str(server.pid), "-o", str(asked.profile)])
        asyncio.run(measure(port, server.pid, asked.streams, asked.tokens))
        if spy:
            spy.send_signal(signal.SIGINT)
            spy.wait()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
