"""vLLM on two GPUs as profiles say it is to be run: `several.py DIRECTORY`, where checkpoint.py has written an s.

One GPU; two GPUs of a host; two hosts with a GPU each, that share every layer or have half of the layers each. The two
hosts are two commands of the profile on this machine, each of which sees one GPU: what joins them is what joins hosts,
but the wire. Every case answers the same prompts, and its first tokens are held against those of one GPU: they differ
where two tokens are nearly as likely, for sums are made in another order.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client import Load, measure
from points import SHORT, name, prompt, tell

PROMPTS, TOKENS, START_S = 256, 64, 150.0
CASES: dict[str, dict[str, Any]] = {
    "one GPU": {},
    "two GPUs": {"tensor_parallel": 2},
    "two hosts, layers shared": {"tensor_parallel": 2, "multi_node": {"addresses": ["127.0.0.1", "127.0.0.2"]}},
    "two hosts, half the layers each": {
        "pipeline_parallel": 2, "multi_node": {"addresses": ["127.0.0.1", "127.0.0.2"], "port": 29602},
    },
}  # fmt: skip


@dataclass
class Served:
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def healthy(self) -> bool:
        with contextlib.suppress(OSError), self._open("/health", None, 5) as answer:
            return bool(answer.status == 200)
        return False

    def first(self, ids: list[int]) -> str:
        body = {"model": "ernie", "prompt": ids, "max_tokens": 1, "temperature": 0}
        with self._open("/v1/completions", json.dumps(body).encode(), 120) as answer:
            return str(json.load(answer)["choices"][0]["text"])

    def _open(self, path: str, body: bytes | None, timeout: float) -> Any:
        head = {"Content-Type": "application/json"}
        return urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, head), timeout=timeout
        )


@contextlib.contextmanager
def serve(case: str, directory: Path, port: int) -> Iterator[Served]:
    """The commands of the case's profile, each host's with the GPU that would be its own."""
    import yaml

    from wxruntime.profile.checkpoints import look
    from wxruntime.profile.plan import plan

    profile = {
        "engine": "vllm", "version": "0.32.0", "image": "vllm/vllm-openai@sha256:" + "0123456789abcdef" * 4,
        "precision": "bf16",
        "model": str(directory), "served_names": ["ernie"], "host": "127.0.0.1", "port": port, "max_model_len": 4096,
        "max_num_seqs": 256, "gpu_memory_utilization": 0.3, "drain_seconds": 1, "arguments": {"seed": 0},
    } | CASES[case]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "profile.yaml")
        file.write_text(yaml.safe_dump(profile))
        found = plan(file, {None: look(str(directory))})
        if found.mistakes:
            raise SystemExit("\n".join(map(str, found.mistakes)))
        served = Served(port)
        for command in found.commands:
            cards = {"CUDA_VISIBLE_DEVICES": str(command.node)} if len(found.commands) > 1 else {}
            print(f"# {case}: {command.line}", file=sys.stderr, flush=True)
            served.processes.append(
                subprocess.Popen(
                    [*command.entrypoint, *command.arguments],
                    env=os.environ | command.environment | cards,
                    stdout=sys.stderr,
                    start_new_session=True,
                )
            )
        try:
            yield served
        finally:
            for process in served.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait(served: Served) -> None:
    until = time.time() + START_S
    while not served.healthy():
        ended = [process.returncode for process in served.processes if process.poll() is not None]
        if ended or time.time() > until:
            raise TimeoutError(f"not healthy; ended: {ended}")
        time.sleep(0.5)


def main(directory: Path) -> None:
    prompts = [prompt(TOKENS) for _ in range(PROMPTS)]
    alone: list[str] = []
    for number, case in enumerate(CASES):
        began = time.perf_counter()
        try:
            with serve(case, directory, 18100 + number) as served:
                wait(served)
                started = time.perf_counter() - began
                with ThreadPoolExecutor(32) as pool:
                    firsts = list(pool.map(served.first, prompts))
                alone = alone or firsts
                same = sum(one == other for one, other in zip(alone, firsts, strict=True)) / PROMPTS
                rates = {}
                for point in (SHORT[0], SHORT[3]):
                    took, heard = min(
                        (measure(Load(served.port, "ernie", *point)) for _ in range(2)), key=lambda run: run[0]
                    )
                    assert all(each.tokens == point[2] for each in heard)
                    rates[name(point)] = point[0] * point[2] / took
                tell("vLLM", "several", case, start_s=started, same=same, **rates)
        except (TimeoutError, OSError) as error:
            tell("vLLM", "several", case, failed=repr(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
