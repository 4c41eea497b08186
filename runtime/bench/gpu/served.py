"""The paged backend through our HTTP server, a process of its own: `served.py s|m DIRECTORY`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from client import Load, measure
from points import SHORT, median, name, tell
from shapes import CONTEXT

PORT = 18080


def wait_ready(process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.time() + seconds
    while time.time() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("the server did not become ready")


def main(model: str, directory: Path) -> None:
    tag = f"{model} bf16"
    began = time.perf_counter()
    command = [sys.executable, "-c", "from wxruntime.cli import main; main()", "engine"]
    command += ["--model", str(directory), "--backend", "paged", "--port", str(PORT)]
    command += ["--context-length", str(CONTEXT), "--queue-size", "1024"]
    process = subprocess.Popen(command, env=os.environ | {"WXRUNTIME_LOG": "warning"})
    try:
        wait_ready(process, 120)
        tell("our server", tag, "start", s=time.perf_counter() - began)
        asked = directory.name
        measure(Load(PORT, asked, 32, 128, 16))
        ttft = median(lambda: measure(Load(PORT, asked, 1, 1024, 1))[0], 5)
        tell("our server", tag, "1024 -> 1", ms=1e3 * ttft)
        for point in [*SHORT, (256, 1024, 1024)] if model == "s" else SHORT:
            batch, _, made = point
            runs = [measure(Load(PORT, asked, *point)) for _ in range(2 if made < 1024 else 1)]
            took, heard = min(runs, key=lambda run: run[0])
            assert all(each.tokens == made for each in heard), sorted({each.tokens for each in heard})
            firsts = sorted(each.first for each in heard)
            events = sum(each.events for each in heard)
            tell("our server", tag, name(point), tok_s=batch * made / took, ttft_ms_p50=1e3 * firsts[batch // 2],
                 ttft_ms_p99=1e3 * firsts[int(batch * 0.99)], tokens_an_event=batch * made / events)  # fmt: skip
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


main(sys.argv[1], Path(sys.argv[2]))
