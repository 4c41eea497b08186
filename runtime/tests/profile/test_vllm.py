"""The real vLLM takes the arguments that a profile renders, and serves ERNIE with them.

It needs the environment of scripts/vllm-cpu.sh (PyTorch and 130 MB more), so `make soak` runs it, and whoever has one:
WXRUNTIME_VLLM=DIR pytest -m vllm tests/profile/test_vllm.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from profile_case import free_port, planned, write_profile
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM

from wxruntime.profile.checkpoints import look
from wxruntime.profile.plan import Plan, plan
from wxruntime.tiny import Recipe, make_checkpoint

pytestmark = pytest.mark.vllm

START_S = 900.0  # its imports alone take minutes on a busy machine
KEY = "a-key-of-this-test"
HEAD = 32  # vLLM's attention on CPUs has no heads of 16, as the tiny checkpoint's are


@pytest.fixture(scope="module")
def vllm() -> Path:
    home = os.environ.get("WXRUNTIME_VLLM")
    assert home, "WXRUNTIME_VLLM is not set: name the directory that scripts/vllm-cpu.sh made"
    return Path(home).resolve()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with wider heads and random weights."""
    directory = tmp_path_factory.mktemp("vllm") / "ernie"
    make_checkpoint(directory, Recipe(taught=False))
    config = Ernie4_5Config.from_pretrained(directory)
    config.head_dim = HEAD
    torch.manual_seed(0)
    Ernie4_5ForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def served(vllm: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, httpx.Client]]:
    """vLLM as the profile says it is to be run, and a client that has the key."""
    folder = tmp_path_factory.mktemp("served")
    key = folder / "key"
    key.write_text(KEY)
    port = free_port()
    changes = {
        "precision": "fp32", "model": str(model), "host": "127.0.0.1", "port": port, "max_model_len": 1024,
        "max_num_seqs": 4, "max_num_batched_tokens": 1024, "queue": {"requests": 8}, "api_key_file": str(key),
        "served_names": ["ernie", "ernie-4.5"],
        "drain_seconds": 20, "arguments": {"enforce-eager": True, "seed": 0},
        "environment": {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
    }  # fmt: skip
    found = plan(write_profile(folder, changes), {None: look(str(model))})
    assert not found.mistakes, found.mistakes
    (command,) = found.commands
    environment = {**os.environ, **command.environment, "PATH": f"{vllm / 'bin'}:{os.environ['PATH']}"}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command.entrypoint, *command.arguments], env=environment, stdout=output, stderr=output
        )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=120)
    try:
        _wait(client, process, log)
        assert KEY.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "a process list shows the key"
        yield found, client
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(log.read_text(errors="replace")[-4000:])


def test_it_serves_both_names_in_the_context_of_the_profile(served: tuple[Plan, httpx.Client]) -> None:
    _, client = served
    models = client.get("/v1/models").json()["data"]
    assert [(each["id"], each["max_model_len"]) for each in models] == [("ernie", 1024), ("ernie-4.5", 1024)]


def test_it_answers_a_conversation(served: tuple[Plan, httpx.Client]) -> None:
    _, client = served
    body = {"model": "ernie", "messages": [{"role": "user", "content": "你是谁？"}], "max_tokens": 8, "temperature": 0}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["usage"]["completion_tokens"] == 8, answer


def test_without_the_key_nobody_is_answered(served: tuple[Plan, httpx.Client]) -> None:
    _, client = served
    body = {"model": "ernie", "prompt": "你", "max_tokens": 1}
    assert client.post("/v1/completions", json=body, headers={"Authorization": ""}).status_code == 401


def test_its_metrics_are_those_that_our_engines_and_the_gateway_go_by(served: tuple[Plan, httpx.Client]) -> None:
    _, client = served
    told = client.get("/metrics").text
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_hits_total"):
        assert f"vllm:{name}" in told


def test_what_the_profile_refuses_vllm_would_refuse_too(vllm: Path, model: Path, tmp_path: Path) -> None:
    """A context beyond the model's, and heads that cannot be shared out: found in milliseconds instead of a minute."""
    config = json.loads((model / "config.json").read_text())
    case = {"set": {"precision": "fp32", "tensor_parallel": 3, "max_model_len": 999_999}, "tiny": config}
    assert len(planned(case, tmp_path).mistakes) == 2
    for flags in (["--max-model-len", "999999"], ["--tensor-parallel-size", "3"]):
        done = subprocess.run([vllm / "bin/vllm", "serve", model, "--enforce-eager", *flags], capture_output=True,
                              text=True, timeout=START_S, env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
        assert done.returncode != 0
        assert "ValidationError" in done.stderr or "ValueError" in done.stderr, done.stderr[-2000:]
