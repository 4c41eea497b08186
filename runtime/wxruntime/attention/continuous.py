"""The attention as transformers' continuous batching calls it: append keys and values, then read them where they lie.

Continuous batching says for each key in which slot of the cache it is (read_index), so no key is gathered first.
"""

from __future__ import annotations

from typing import Any

import torch

from wxruntime.attention.ops import attend_prefill


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value [1, heads, tokens, D]. Returns [1, tokens, heads, D]."""
    cache = kwargs["cache"]
    group, layer = cache.layer_index_to_group_indices[module.layer_idx]
    keys, values = cache.key_cache[layer], cache.value_cache[layer]
    written, read = kwargs["write_index"][group], kwargs["read_index"][group]
    keys.index_copy_(0, written, key[0].transpose(0, 1))
    values.index_copy_(0, written, value[0].transpose(0, 1))
    q_starts = kwargs["cu_seq_lens_q"]
    # Where nothing is cached yet, the keys are the new ones.
    slots, k_starts = (read, kwargs["cu_seq_lens_k"]) if read.numel() else (written, q_starts)
    queries = query[0].transpose(0, 1).contiguous()
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    answer = attend_prefill(queries, keys, values, slots, q_starts, k_starts, None, 0, scale)
    return answer[None], None


def no_mask(*_: Any, **__: Any) -> None:
    """Causality is the kernel's own."""
