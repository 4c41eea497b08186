"""Attention over a paged cache on a CPU: each sequence of the batch by itself.

transformers' own way without a GPU puts the batch into one row under a mask, so that each token is multiplied with the
keys of all sequences; its cost grows with the square of the batch. A CPU has no launches to save: a call a sequence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

# A name with "flash" in it gets the lengths of the sequences from transformers, and no mask.
NAME = "flash_on_cpu"


def install(model: Any) -> None:
    """Let `model`, loaded with another attention, use this one."""
    AttentionInterface.register(NAME, attend)
    model.config._attn_implementation = NAME  # set_attn_implementation() would look for it on a hub


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    cu_seq_lens_k: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, tokens, D]; the sequences lie one behind the other, at the borders in cu_seq_lens."""
    if cu_seq_lens_q is None or cu_seq_lens_k is None:
        causal = query.shape[2] > 1
        answer = scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scaling, enable_gqa=True)
        return answer.transpose(1, 2), None
    q_borders, k_borders = cu_seq_lens_q.tolist(), cu_seq_lens_k.tolist()
    answers = []
    for q_start, q_end, k_start, k_end in zip(q_borders, q_borders[1:], k_borders, k_borders[1:], strict=False):
        length, past = q_end - q_start, (k_end - k_start) - (q_end - q_start)
        mask = None if length == 1 else torch.ones(length, length + past, dtype=torch.bool).tril(past)
        parts = query[:, :, q_start:q_end], key[:, :, k_start:k_end], value[:, :, k_start:k_end]
        answers.append(scaled_dot_product_attention(*parts, attn_mask=mask, scale=scaling, enable_gqa=True))
    return torch.cat(answers, dim=2).transpose(1, 2), None
