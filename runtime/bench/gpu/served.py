"""The paged backend through our HTTP server, a process of its own: `served.py s|m DIRECTORY`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from client import Load, measure, wait_ready
from points import SHORT, median, name, tell
from watched import AFTER_S, noted

PORT = 18080
RUNS = 5  # of those that take a fraction of a second


def main(model: str, directory: Path) -> None:
    tag = f"{model} bf16"
    began = time.perf_counter()
    notes, bursts = Path(tempfile.mkdtemp()) / "notes", 0
    command = [sys.executable, str(Path(__file__).with_name("watched.py")), str(directory), str(PORT)]
    process = subprocess.Popen(command, env=os.environ | {"WATCHED": str(notes)})

    def burst(*point: int) -> tuple[float, dict[str, float]]:
        """Seconds, and where they went: first tokens, events, what the server noted."""
        nonlocal bursts
        took, heard = measure(Load(PORT, directory.name, *point))
        assert all(each.tokens == point[2] for each in heard), sorted({each.tokens for each in heard})
        time.sleep(2 * AFTER_S)
        bursts += 1
        firsts = sorted(each.ttft for each in heard)
        events = sum(each.events for each in heard)
        return took, {
            "tok_s": point[0] * point[2] / took,
            "ttft_ms_p50": 1e3 * firsts[len(firsts) // 2],
            "ttft_ms_p99": 1e3 * firsts[int(len(firsts) * 0.99)],
            "tokens_an_event": point[0] * point[2] / events,
            **noted(notes, bursts).stages(min(each.began for each in heard)),
            "end_ms": 1e3 * took,
        }

    try:
        wait_ready(process, PORT, 120)
        tell("our server", tag, "start", s=time.perf_counter() - began)
        burst(32, 128, 16)
        tell("our server", tag, "HTTP", by=noted(notes, bursts).by, cores=len(os.sched_getaffinity(0)))
        tell("our server", tag, "1024 -> 1", ms=1e3 * median(lambda: burst(1, 1024, 1)[0], 5))
        for point in [*SHORT, (256, 1024, 1024)] if model == "s" else SHORT:
            runs = [burst(*point) for _ in range(RUNS if model == "s" and point[2] < 1024 else 1)]
            tell("our server", tag, name(point), **min(runs, key=lambda run: run[0])[1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


main(sys.argv[1], Path(sys.argv[2]))
