"""The attention as transformers' continuous batching calls it, over keys and values that it gathers from its pages."""

from __future__ import annotations

from typing import Any

import torch

from wxruntime.attention.ops import attend_prefill


# What is compiled is the rest of a layer: it is the same for all layers, and the kernel is compiled already.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    cu_seq_lens_q: torch.Tensor,
    cu_seq_lens_k: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, tokens, D]; key, value [1, key heads, keys, D], with those that were read from the cache.

    The sequences lie one behind the other, at the borders in cu_seq_lens. Returns [1, tokens, heads, D].
    """
    queries, keys, values = (each[0].transpose(0, 1).contiguous() for each in (query, key, value))
    slots = torch.arange(keys.shape[0], dtype=torch.int32, device=keys.device)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    answer = attend_prefill(queries, keys, values, slots, cu_seq_lens_q, cu_seq_lens_k, None, 0, scale)
    return answer[None], None
