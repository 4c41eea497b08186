"""Which way transformers' batching runs a model on a GPU: layers, CUDA graphs, cache, and a sentence for the log."""

from __future__ import annotations

from typing import Any

import torch

Capability = tuple[int, int]  # of CUDA: (9, 0) is Hopper

SURE = 0.8  # of the free memory: a batch's own tensors take some of it
LEAST_GROUPED = (8, 0)  # torch.nn.functional.grouped_mm, from PyTorch 2.10 on


def uncapturable(config: Any, dtype: torch.dtype, gpu: Capability) -> str:
    """Why no CUDA graph can hold a step of this model; empty where one can.

    transformers multiplies the experts of a mixture as groups. Where PyTorch has no product of groups, that is in
    another type than bfloat16 once it is compiled, and below Ampere, it asks the GPU for their sizes instead and makes
    one product after another (transformers 5.24, integrations/moe.py), and what waits for the GPU cannot be captured.
    """
    if not mixture(config):
        return ""
    if dtype != torch.bfloat16:
        return f"experts in {_name(dtype)} have no product of groups, which bfloat16 has"
    if gpu < LEAST_GROUPED:
        return f"compute capability {gpu[0]}.{gpu[1]} has no product of groups for the experts, which 8.0 has"
    return ""


def enough_tokens(most: int, token_bytes: int, free: float) -> int | None:
    """How many tokens the KV cache is to hold where nobody said; None: as many as there is room for.

    most: what all sequences at their longest hold. free: bytes that the cache may take. transformers takes all, and
    copies the place of each token that fits to the GPU at each step (5.24), which took a step of a tiny model to 50 ms.
    """
    return most if most * token_bytes <= SURE * free else None


def compile_layers(model: Any, **options: Any) -> None:
    """All layers of a kind share what is compiled of one, so a start takes as long with two layers as with fifty.

    transformers would compile a whole step, each layer anew: 18 were not done in four minutes on an H200. options: of
    torch.compile.
    """
    # A layer hands its number on: PyTorch 2.11 would compile it in, and each layer anew.
    torch._dynamo.config.allow_unspec_int_on_nn_module = True
    for layer in model.base_model.layers:
        layer.compile(dynamic=True, **options)


def described(config: Any, dtype: torch.dtype, why_eager: str, compiled: bool) -> str:
    """One line: what attends, what multiplies the experts, and how steps are launched."""
    steps = f"steps launched one kernel after another, since {why_eager}" if why_eager else "CUDA graphs"
    if compiled and not why_eager:
        steps = "compiled layers in CUDA graphs"
    parts = [f"attention {config._attn_implementation}"]
    if mixture(config):
        parts.append(f"experts {getattr(config, '_experts_implementation', None) or 'one by one'}")
    return f"{config.model_type} in {_name(dtype)}: {', '.join([*parts, steps])}"


def mixture(config: Any) -> bool:
    return bool(getattr(config, "num_experts", 0) or getattr(config, "moe_num_experts", 0))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
