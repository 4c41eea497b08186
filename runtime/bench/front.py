"""What the server costs in front of a model as fast as an H200 runs ERNIE-4.5-0.3B, without a model or a GPU.

python bench/front.py MODEL [--streams 256] [--made 128] [--profile OUT.svg]

MODEL is a directory of `wxruntime tiny`; only its tokenizer is used. All streams begin at once, 128 tokens in, with the
client of bench/gpu. Prints tokens a second without the server and through it, where the time goes, and, which other
work on the machine changes least, the CPU time of the server's process for a request and for a token.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from wxruntime.backends.base import Limits, Load, Sequence, Step, Usage
from wxruntime.checkpoint import read_checkpoint
from wxruntime.engine.core import Core
from wxruntime.engine.link import received
from wxruntime.engine.serve import run
from wxruntime.sampling import Sampling

sys.path.insert(0, str(Path(__file__).parent / "gpu"))
import client
from watched import AFTER_S, Watched, noted, options, step_ms

PORT, PROMPT = 18081, 128


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds: of a decode step and of each row in it, of a pass over prompts and of each token in it.

    By default what one H200 takes for ERNIE-4.5-0.3B (docs/evidence/bench-gpu.md)."""

    step: float = 0.72
    row: float = 0.0014
    read: float = 0.8
    token: float = 0.0015
    batch_tokens: int = 8192


class Paced:
    """Steps as the paged backend does, one launch ahead of what was read, on a card that only lets time pass."""

    gather_s = 0.0

    def __init__(self, streams: int) -> None:
        self.limits = Limits(context_length=8192, max_sequences=streams, kv_tokens=streams * 8192)
        self._pace = Pace()
        self.reset()

    def reset(self) -> None:
        self._reading: deque[Sequence] = deque()
        self._rows: dict[int, list[int]] = {}  # tokens to come, of who decodes
        self._flights: deque[tuple[float, Step]] = deque()
        self._busy_until = 0.0
        self._read_last = False

    def prove(self) -> None:
        """It is always sound."""

    def admit(self, sequences: list[Sequence]) -> None:
        self._reading += sequences

    def drop(self, ids: list[int]) -> None:
        self._reading = deque(each for each in self._reading if each.id not in ids)
        for id_ in ids:
            self._rows.pop(id_, None)

    def step(self) -> Step:
        launched = self._launch()
        if len(self._flights) < 2 and launched:
            return Step()
        ends, step = self._flights.popleft()
        time.sleep(max(0.0, ends - time.monotonic()))
        return step

    def _launch(self) -> bool:
        step, pace = Step(), self._pace
        if self._reading and not (self._read_last and self._rows):
            self._read_last = True
            while self._reading and step.processed < pace.batch_tokens:
                sequence = self._reading.popleft()
                chance = random.Random(sequence.id)
                step.processed += len(sequence.prompt)
                step.started.append((sequence.id, 0))
                self._rows[sequence.id] = [chance.randrange(6, 400) for _ in range(sequence.sampling.max_tokens)]
                self._draw(step, sequence.id)
            took = pace.read + pace.token * step.processed
        else:
            self._read_last = False
            if not self._rows:
                return False
            step.processed = len(self._rows)
            took = pace.step + pace.row * len(self._rows)
            for id_ in list(self._rows):
                self._draw(step, id_)
        self._busy_until = max(self._busy_until, time.monotonic()) + took / 1e3
        self._flights.append((self._busy_until, step))
        return True

    def _draw(self, step: Step, id_: int) -> None:
        left = self._rows[id_]
        step.tokens.append((id_, left.pop()))
        if not left:
            step.finished.append((id_, "length"))
            del self._rows[id_]

    def usage(self) -> Usage:
        return Usage()

    def close(self) -> None:
        """It holds nothing."""


class PacedEngine(Watched):
    """An engine whose child is this file."""

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, __file__, "--core", str(self._start.options.max_sequences), str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        await self.connect(ours)


def run_core(streams: int, descriptor: int) -> None:
    connection = socket.socket(fileno=descriptor)
    core = Core(connection, lambda: Paced(streams))

    def read() -> None:
        for message in received(connection):
            core.deliver(message)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    core.run()


def offline(prompts: list[list[int]], made: int) -> dict[str, float]:
    """What Notes.stages has of a server, without one."""
    paced, left = Paced(len(prompts)), len(prompts)
    steps, read = [], 0.0
    began = time.monotonic()
    paced.admit([Sequence(number, each, Sampling(made)) for number, each in enumerate(prompts)])
    while left:
        step = paced.step()
        left -= len(step.finished)
        if step.tokens:
            steps.append(time.monotonic())
        if step.started:
            read = time.monotonic()
    ended = 1e3 * (steps[-1] - began)
    return {"prompts_read_ms": 1e3 * (read - began), "last_made_ms": ended, "step_ms": step_ms(steps, read)}


def cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """Bursts at one server."""

    def __init__(self, model: Path, server: int, notes: Path, streams: int) -> None:
        self._model, self._server, self._path, self._streams = model, server, notes, streams
        self._vocabulary = read_checkpoint(model).vocab_size
        self._chance = random.Random(1)
        self._bursts = 0

    def prompts(self) -> list[list[int]]:
        return [[self._chance.randrange(3, self._vocabulary) for _ in range(PROMPT)] for _ in range(self._streams)]

    def burst(self, made: int) -> tuple[float, float, list[client.Heard], dict[str, float]]:
        """Seconds, seconds of the server's CPU, what was heard, Notes.stages."""
        before = cpu_s(self._server)
        load = client.Load(PORT, self._model.name, self._streams, PROMPT, made)
        took, heard = client.measure(load, self.prompts())  # type: ignore[arg-type]
        time.sleep(2 * AFTER_S)
        self._bursts += 1
        stages = noted(self._path, self._bursts).stages(min(each.began for each in heard))
        return took, cpu_s(self._server) - before, heard, stages

    def measure(self, made: int, rounds: int) -> None:
        streams, total = self._streams, self._streams * made
        self.burst(8)
        alone = offline(self.prompts(), made)
        a_request = sum(self.burst(1)[1] for _ in range(rounds)) / rounds / streams
        runs = [self.burst(made) for _ in range(rounds)]
        a_token = (sum(run[1] for run in runs) / rounds - a_request * streams) / (total - streams)
        took, _, heard, stages = min(runs, key=lambda run: run[0])
        rate, events = 1e3 * total / alone["last_made_ms"], sum(each.events for each in heard)
        print(f"{streams} streams of {made}: {rate:,.0f} tok/s without a server, {total / took:,.0f} through it "
              f"({total / took / rate:.0%}), {total / events:.1f} tokens an event")  # fmt: skip
        print("without, ms:", ", ".join(f"{name[:-3]} {value:.1f}" for name, value in alone.items()))
        print("through, ms:", ", ".join(f"{name[:-3]} {value:.1f}" for name, value in stages.items()), end="")
        print(f", end {1e3 * took:.1f}")
        print(
            f"the server's CPU: {1e6 * a_request:.0f} us a request of one token, {1e6 * a_token:.1f} us a token after"
        )


def main() -> None:
    if sys.argv[1] == "--core":
        run_core(int(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--made", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", type=Path, help="a flame graph of the server, by py-spy")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        run(options(Load(asked.model, max_sequences=asked.streams), PORT), PacedEngine)
        return
    notes = Path(tempfile.mkdtemp()) / "notes"
    command = [sys.executable, __file__, str(asked.model), "--serve", "--streams", str(asked.streams)]
    server = subprocess.Popen(command, env=os.environ | {"WATCHED": str(notes)})
    try:
        client.wait_ready(server, PORT, 180)
        spy = None
        if asked.profile:
            spy = subprocess.Popen(["py-spy", "record", "-p", str(server.pid), "-o", str(asked.profile)])
        Bench(asked.model, server.pid, notes, asked.streams).measure(asked.made, asked.rounds)
        if spy:
            spy.send_signal(signal.SIGINT)
            spy.wait()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
