"""A dense ERNIE 4.5's forward pass over packed tokens and a paged cache: ten launches a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.models.ernie4_5.modeling_ernie4_5 import Ernie4_5RotaryEmbedding

from wxruntime.attention.ops import rms_norm, silu_gate, turn_and_store
from wxruntime.paged.weights import Weights

# Queries [tokens, heads, D] and a layer's keys and values [slots, kv_heads, D] -> [tokens, heads, D].
Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Ernie:
    """The model with its cache of `slots` slots."""

    def __init__(self, config: Any, weights: Weights, slots: int, context_length: int) -> None:
        self.config, self.weights = config, weights
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.device, self.dtype = weights.embedding.device, weights.embedding.dtype
        shape = (config.num_hidden_layers, 2, slots, self.kv_heads, self.width)
        self.cache = torch.zeros(shape, dtype=self.dtype, device=self.device)
        self.scale = self.width**-0.5
        positions = torch.arange(context_length)[None]
        cosines, sines = Ernie4_5RotaryEmbedding(config)(torch.zeros(1), positions)
        self.cosines = cosines[0, :, : self.width // 2].contiguous().to(self.device)
        self.sines = sines[0, :, : self.width // 2].contiguous().to(self.device)

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor | None,
        table: torch.Tensor | None,
        page: int,
        attend: Attend,
    ) -> torch.Tensor:
        """tokens, positions [n] -> hidden states [n, hidden]. Where a token's key goes: kernels.rotary."""
        weights, eps = self.weights, self.config.rms_norm_eps
        residual = torch.nn.functional.embedding(tokens, weights.embedding)
        hidden = rms_norm(residual, weights.layers[0].before, eps)
        for number, layer in enumerate(weights.layers):
            keys, values = self.cache[number]
            qkv = layer.qkv(hidden)
            turn_and_store(qkv, self.cosines, self.sines, positions, slots, table, page, keys, values, self.heads)
            queries = qkv[:, : self.heads * self.width].unflatten(1, (self.heads, self.width))
            hidden = layer.out(attend(queries, keys, values).flatten(1))
            hidden = rms_norm(hidden, layer.after, eps, residual)
            hidden = layer.down(silu_gate(layer.gate_up(hidden)))
            following = weights.layers[number + 1].before if number + 1 < len(weights.layers) else weights.norm
            hidden = rms_norm(hidden, following, eps, residual)
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.weights.head(hidden)


def slot_bytes(config: Any, dtype: torch.dtype) -> int:
    """What a token takes in the cache."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(config.num_hidden_layers * 2 * config.num_key_value_heads * width * dtype.itemsize)
