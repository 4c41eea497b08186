"""What transformers' batching runs on a GPU, on a CPU: our attention in plain PyTorch, and layers that are compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from wxruntime.attention import NAME, install, ops
from wxruntime.backends.base import Load, Sequence
from wxruntime.backends.gpu_path import compile_layers
from wxruntime.backends.transformers import Transformers
from wxruntime.checkpoint import read_checkpoint
from wxruntime.models.verify import Check, Trust
from wxruntime.sampling import Sampling

PROMPTS = [5, 6, 7], list(range(3, 80)), [9]
LAYERS = 20
GREEDY = Sampling(max_tokens=12, temperature=0)


def deeper(directory: Path, layers: int) -> Any:
    """Of the same kind, with random weights in float32."""
    config = AutoConfig.from_pretrained(directory, num_hidden_layers=layers, moe_layer_end_index=layers)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa").eval()


def batched(directory: Path, model: Any) -> list[list[int]]:
    """All prompts at once, read in pieces."""
    options = Load(directory, device="cpu", dtype="float32", context_length=128, kv_tokens=2048, max_batch_tokens=32)
    backend = Transformers(read_checkpoint(directory, Trust(check=Check.SIZES)), model, options)
    backend.admit([Sequence(at, each, GREEDY) for at, each in enumerate(PROMPTS)])
    told: list[list[int]] = [[] for _ in PROMPTS]
    left = set(range(len(PROMPTS)))
    while left:
        step = backend.step()
        for id_, token in step.tokens:
            told[id_].append(token)
        left -= {id_ for id_, _ in step.finished}
    return told


def alone(model: Any) -> list[list[int]]:
    settings = {"max_new_tokens": GREEDY.max_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    return [model.generate(torch.tensor([each]), **settings)[0, len(each) :].tolist() for each in PROMPTS]


@pytest.mark.parametrize("kind", ["tiny", "moe"])
def test_batched_answers_are_those_of_plain_generation(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "TRITON", True)
    directory = request.getfixturevalue(kind)
    model = deeper(directory, 3)
    wanted = alone(model)
    install(model)
    assert model.config._attn_implementation.endswith(NAME)
    assert batched(directory, model) == wanted


def test_layers_share_what_is_compiled(moe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer is built in some parts, without keys in the cache and with them."""
    monkeypatch.setattr(ops, "TRITON", True)
    model = deeper(moe, LAYERS)
    install(model)
    plain = batched(moe, model)
    graphs: list[int] = []

    def keep(graph: Any, _: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    compile_layers(model, backend=keep)
    assert batched(moe, model) == plain
    assert max(graphs) > 10 and len(graphs) < LAYERS
