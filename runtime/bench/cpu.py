"""What each backend makes of a CPU through our server, beside plain `generate`, `transformers serve` and vLLM's server.

    python bench/cpu.py [small 0.3b] [--peers DIRECTORY] [--models DIRECTORY] [--only NAME...]

Prompts of 32 fresh words, greedy answers of 32 tokens, float32 unless the row says int4; all of a round begin together,
and the next begins when the last has ended. Tokens are each server's own count. TTFT is when the first event came.
DIRECTORY of --peers is what scripts/bench-peers.sh made; without it there are no peers that are not in our environment.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stand
from cpu_models import SHAPES, exported, prepare

sys.path.insert(0, str(Path(__file__).parent / "gpu"))
from client import EXACT, Heard, Load, measure

TOKENS, MADE = 32, 32
# Requests at once, and how many rounds of them.
ROUNDS = {"small": ((1, 20), (4, 10), (16, 6)), "0.3b": ((1, 3), (4, 1), (16, 1))}
START_S, ROW_S = 240.0, 150.0


class Failed(Exception):
    """A row that cannot be measured, and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A server: what starts it, and what a request to it has beside the prompt."""

    name: str
    command: list[str]
    ready: str = "/health"
    fields: dict[str, Any] = field(default_factory=lambda: EXACT)
    environment: dict[str, str] = field(default_factory=dict)
    batches: bool = True  # one that does not is asked for 4 at once at most: the rest is waiting


def rows(directory: Path, port: int, peers: Path | None) -> Iterator[Row]:
    ours = [sys.executable, "-c", "from wxruntime.cli import main; main()", "engine", "--port", str(port)]
    ours += ["--served-model-name", str(directory), "--context-length", "512"]
    environment = {"WXRUNTIME_LOG": "warning"}
    yield Row(
        "ours, transformers",
        [*ours, "--backend", "transformers", "--model", str(directory)],
        "/ready",
        environment=environment,
    )
    for precision in ("fp32", "int4"):
        command = [*ours, "--backend", "onnx", "--model", str(exported(directory, precision))]
        yield Row(f"ours, onnx {precision}", command, "/ready", environment=environment)
    if peers is None:
        return
    programs = peers / "vllm" / "bin"
    serve = [str(programs / "transformers"), "serve", str(directory), "--port", str(port), "--device", "cpu"]
    serve += ["--dtype", "float32"]
    offline = {"HF_HUB_OFFLINE": "1"}
    yield Row("transformers serve", serve, fields={}, environment=offline, batches=False)
    batching = [*serve, "--continuous-batching", "--cb-max-batch-tokens", "512", "--cb-num-blocks", "64"]
    yield Row("transformers serve, continuous batching", batching, fields={}, environment=offline)
    command = [str(programs / "vllm"), "serve", str(directory), "--port", str(port), "--dtype", "float32"]
    command += ["--enforce-eager", "--max-model-len", "512"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}"}
    yield Row("vLLM", command, environment=offline | environment)


@contextmanager
def serving(row: Row, port: int, log: Path) -> Iterator[int]:
    """Its process, ready to be asked."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            row.command, env=os.environ | row.environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await(process, f"http://127.0.0.1:{port}{row.ready}", log)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind
        process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"ended with {process.returncode}: {_reason(log)}")
        try:
            with stand.NO_PROXY.open(urllib.request.Request(url), timeout=30):
                return
        except OSError:
            time.sleep(0.2)
    raise Failed(f"not ready in {START_S:.0f} s: {_reason(log)}")


def _reason(log: Path) -> str:
    """The last line of a log that says something is wrong, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if "Error" in line or "error" in line]
    return (wrong or lines or ["it said nothing"])[-1][-160:].replace("|", "/")


def words(shape: str) -> str:
    """A prompt that nobody has sent before."""
    return " ".join(f"w{random.randrange(3, SHAPES[shape].vocab_size)}" for _ in range(TOKENS))


def cells(took: float, heard: list[Heard], alone: float | None) -> tuple[str, float]:
    """The figures of a row, and its tokens a second."""
    made = sum(each.tokens for each in heard)
    if made != MADE * len(heard):
        raise Failed(f"made {made} tokens where {MADE * len(heard)} were asked for")
    rate = made / took
    columns = [f"{rate:,.1f}", f"{rate / alone:.1f}" if alone else "1"]
    for values in ([each.ttft for each in heard], [each.took for each in heard]):
        columns += [f"{1e3 * stand.quantile(values, share):,.0f}" if values[0] else "-" for share in (0.5, 0.99)]
    return " | ".join(columns), rate


def served(row: Row, shape: str, directory: Path, port: int, log: Path) -> None:
    """Print a row's lines as they come."""
    began, alone = time.monotonic(), None
    try:
        with serving(row, port, log) as pid:
            start = time.monotonic() - began

            def ask(at_once: int, rounds: int) -> tuple[float, list[Heard]]:
                load = Load(port, str(directory), at_once, TOKENS, MADE, row.fields, ROW_S)
                runs = [measure(load, [words(shape) for _ in range(at_once)]) for _ in range(rounds)]
                return sum(took for took, _ in runs), [each for _, heard in runs for each in heard]

            ask(2, 1)  # a first answer compiles, allocates and fills what is lazy
            for at_once, rounds in ROUNDS[shape]:
                if at_once > 4 and not row.batches:
                    continue
                line, rate = cells(*ask(at_once, rounds), alone)
                alone = alone or rate
                tail = f"{start:.0f} | {stand.memory(pid):,.0f}" if at_once == 1 else " | "
                print(f"| {row.name} | {at_once} | {line} | {tail} |", flush=True)
    except (Failed, OSError, SystemExit, TimeoutError) as error:
        why = str(error) or f"no answer in {ROW_S:.0f} s"
        print(
            f"| {row.name} | - | {why if isinstance(error, Failed) else f'{why}: {_reason(log)}'} |||||||", flush=True
        )


def plain(shape: str, directory: Path) -> None:
    """`generate`, one prompt after the other, in a process of its own."""
    command = [sys.executable, __file__, "--generate", str(directory), str(ROUNDS[shape][0][1])]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    start, memory, *times = json.loads(told.splitlines()[-1])
    line, _ = cells(sum(times), [Heard(0.0, 0.0, each, MADE, 1) for each in times], None)
    print(f"| transformers generate | 1 | {line} | {start:.0f} | {memory:,.0f} |", flush=True)


def generate(directory: Path, count: int) -> None:
    began = time.monotonic()
    import torch
    from transformers import Ernie4_5ForCausalLM

    model = Ernie4_5ForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    start, times = time.monotonic() - began, []
    for _ in range(count + 1):
        ids = torch.randint(3, model.config.vocab_size, (1, TOKENS))
        begun = time.perf_counter()
        with torch.inference_mode():
            out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=MADE)
        times.append(time.perf_counter() - begun)
        assert out.shape[1] == TOKENS + MADE
    print(json.dumps([start, stand.memory(os.getpid()), *times[1:]]))


def main() -> None:
    if sys.argv[1:2] == ["--generate"]:
        generate(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--peers", type=Path, help="what scripts/bench-peers.sh made")
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir(), "wxruntime-bench"))
    parser.add_argument("--only", nargs="*", help="these rows")
    parser.add_argument("--prepare", action="store_true", help="make the models, measure nothing")
    options = parser.parse_args()
    options.models.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers have sessions of their own: end them, too
    if options.prepare:
        for shape in options.shapes:
            prepare(shape, options.models.resolve())
        return
    print(stand.header(), flush=True)
    for shape in options.shapes:
        directory = prepare(shape, options.models.resolve())
        print(f"\n### {shape}\n")
        print("| | at once | tok/s | × alone | TTFT p50, ms | p99 | whole p50, ms | p99 | start, s | MiB |")
        print("|---" * 10 + "|")
        if not options.only or "generate" in options.only:
            plain(shape, directory)
        port = stand.free_port()
        for row in rows(directory, port, options.peers and options.peers.resolve()):
            if not options.only or row.name in options.only:
                with tempfile.TemporaryDirectory() as folder:
                    served(row, shape, directory, port, Path(folder) / "log")
    print(f"\nload at the end {stand.load()}")


if __name__ == "__main__":
    main()
