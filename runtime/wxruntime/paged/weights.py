"""The weights of a dense ERNIE 4.5 as the fused model wants them: products that share an input are one matrix.

Read from the checkpoint's safetensors straight onto the device, bfloat16 or FP8 as compressed-tensors writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from wxruntime.attention.linear import Fp8, Linear, quantized, tune
from wxruntime.models.dequantize import precision_in, whole_weights
from wxruntime.models.shards import placed

Tensors = Callable[[str], torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """qkv: queries, keys, values; gate_up: gate, then up."""

    before: torch.Tensor
    qkv: Linear
    out: Linear
    after: torch.Tensor
    gate_up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class Weights:
    embedding: torch.Tensor
    layers: tuple[Layer, ...]
    norm: torch.Tensor
    head: Linear

    def tune(self) -> None:
        """Choose how each product is made, by measuring."""
        for role in ("qkv", "out", "gate_up", "down"):
            tune([getattr(layer, role) for layer in self.layers], self.embedding.dtype)
        tune([self.head], self.embedding.dtype)


def read_weights(directory: Path, config: Any, device: torch.device, dtype: torch.dtype, fp8: bool) -> Weights:
    """With `fp8`, weights that the checkpoint has in 16 or 32 bits become FP8; embedding and head never do.

    There are no kernels here for INT8 and INT4: such a checkpoint is read as the whole weights that it stands for.
    """
    precision = precision_in(directory)
    if precision is not None and precision.name != "fp8":
        whole = {name: found.to(dtype) for name, found in whole_weights(directory, dtype, str(device))}
        return gather(whole.get, config, fp8)
    where = placed(directory)
    opened: dict[str, Any] = {
        shard: safe_open(directory / shard, framework="pt", device=str(device)) for shard in set(where.values())
    }

    def tensor(name: str) -> torch.Tensor | None:
        if name not in where:
            return None
        found: torch.Tensor = opened[where[name]].get_tensor(name)
        as_it_is = found.dtype == torch.float8_e4m3fn or name.endswith("_scale")
        return found if as_it_is else found.to(dtype)

    return gather(tensor, config, fp8)


def from_state(state: Mapping[str, torch.Tensor], config: Any, fp8: bool = False) -> Weights:
    """Of a transformers model's state_dict()."""
    return gather(state.get, config, fp8)


def gather(tensors: Tensors, config: Any, fp8: bool) -> Weights:
    """`tensors` gives a tensor by transformers' name, or None; it is asked for each once."""

    def need(name: str) -> torch.Tensor:
        found = tensors(name)
        if found is None:
            raise KeyError(name)
        return found

    def linear(*names: str) -> Linear:
        matrices = [need(f"{name}.weight") for name in names]
        if matrices[0].dtype == torch.float8_e4m3fn:
            scales = [need(f"{name}.weight_scale").float().reshape(-1) for name in names]
            scales = [each.expand(len(matrix)) for each, matrix in zip(scales, matrices, strict=True)]
            return Fp8(
                torch.cat([each.view(torch.uint8) for each in matrices]).view(matrices[0].dtype), torch.cat(scales)
            )
        matrix = torch.cat(matrices) if len(matrices) > 1 else matrices[0]
        return quantized(matrix) if fp8 else Linear(matrix)

    layers = []
    for number in range(config.num_hidden_layers):
        at = f"model.layers.{number}"
        attention = [f"{at}.self_attn.{name}_proj" for name in "qkvo"]
        layers.append(
            Layer(
                before=need(f"{at}.input_layernorm.weight"),
                qkv=linear(*attention[:3]),
                out=linear(attention[3]),
                after=need(f"{at}.post_attention_layernorm.weight"),
                gate_up=linear(f"{at}.mlp.gate_proj", f"{at}.mlp.up_proj"),
                down=linear(f"{at}.mlp.down_proj"),
            )
        )
    embedding = need("model.embed_tokens.weight")
    head = embedding if config.tie_word_embeddings else need("lm_head.weight")
    return Weights(embedding, tuple(layers), need("model.norm.weight"), Linear(head))
