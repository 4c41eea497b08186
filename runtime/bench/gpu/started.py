"""`wxruntime engine` as an operator starts it on a GPU, in each way that it has: `started.py DIRECTORY [WAY ...]`.

DIRECTORY is a checkpoint of s or e; a tiny mixture of experts is made beside it for the ways that name one. Of each
server: which backend runs, the seconds until it is ready, the tokens a second of 1, 16, 64 and 256 streams, and how
many of its greedy first tokens are those of the first server. Where a server does not come up, the last line that it
said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from client import Load, measure, wait_ready
from points import SHORT, VOCABULARY, name, prompt, tell

PORT = 18090
WAYS: dict[str, list[str]] = {
    "auto": [],
    "auto, 4 sequences at most": ["--max-sequences", "4"],
    "transformers": ["--backend", "transformers"],
    "transformers, not compiled": ["--backend", "transformers", "--no-compile"],
    "auto, mixture of experts": [],
}
PROMPTS = 24
PATIENCE_S = 330.0  # a first compilation takes minutes


def first(ids: list[int], model: str) -> str:
    body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0}
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/v1/completions", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["choices"][0]["text"])


def start(way: str, directory: Path, words: int, known: list[str]) -> list[str]:
    """Tell its figures; return its first tokens."""
    prompts = [[3 + (7 * at + number) % (words - 3) for at in range(64)] for number in range(PROMPTS)]
    log = directory.with_name(f"{way}.log".replace(" ", "-").replace(",", ""))
    command = [sys.executable, "-c", "from wxruntime.cli import main; main()", "engine", "--model", str(directory)]
    command += ["--port", str(PORT), "--context-length", "4096", *WAYS[way]]
    began = time.perf_counter()
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ)
    try:
        wait_ready(process, PORT, PATIENCE_S)
        took = time.perf_counter() - began
        firsts = [first(ids, directory.name) for ids in prompts]
        rates = {}
        for point in SHORT:
            texts = [[token % (words - 3) + 3 for token in prompt(point[1])] for _ in range(point[0])]
            seconds, heard = min(
                (measure(Load(PORT, directory.name, *point), texts) for _ in range(2)), key=lambda run: run[0]
            )
            assert all(each.tokens == point[2] for each in heard)
            rates[name(point)] = point[0] * point[2] / seconds
        same = sum(one == other for one, other in zip(firsts, known or firsts, strict=True))
        backend = next(
            (line for line in log.read_text().splitlines() if "backend" in line or "on the GPU" in line), "?"
        )
        tell("started", "started", way, start_s=took, same=same, of=PROMPTS, backend=backend[-160:], **rates)
        return firsts
    except (SystemExit, OSError) as error:
        last = (log.read_text().strip().splitlines() or ["nothing"])[-1]
        tell("started", "started", way, failed=str(error), said=last[-300:])
        return []
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        sys.stderr.write("".join(line for line in log.open() if " made, " not in line)[-3000:])


def main(directory: Path, ways: list[str]) -> None:
    from wxruntime.tiny import Recipe, make_checkpoint

    mixture = directory.with_name("mixture-of-experts")
    if not mixture.exists():
        make_checkpoint(mixture, Recipe(moe=True, taught=False))
    known: list[str] = []
    for way in ways or WAYS:
        if "mixture" in way:
            start(way, mixture, 300, [])
        else:
            known = start(way, directory, VOCABULARY, known) or known


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
