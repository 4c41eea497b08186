"""Attention over a paged cache on the GPU, in kernels of our own: nothing is fetched from a hub.

`install()` gives transformers an attention that its continuous batching can use; wxruntime.paged calls the kernels.
"""

from __future__ import annotations

# transformers asks for `paged|NAME`, and prepares neither mask nor gathered keys for a name that it does not know.
NAME = "paged|wxruntime"


def install() -> str:
    """Register the attention with transformers; returns the attn_implementation to load a model with.

    Without Triton or a GPU that is transformers' own `paged|sdpa`. From 5.18 on continuous batching takes its own names
    only, and writes the cache before it calls: `sdpa` then, until our kernels have met that on a GPU.
    """
    from transformers import AttentionInterface, AttentionMaskInterface, ContinuousBatchingConfig

    from wxruntime.attention.ops import TRITON

    if hasattr(ContinuousBatchingConfig, "auto_switch_to_flash"):
        return "sdpa"
    if not TRITON:
        return "paged|sdpa"

    from wxruntime.attention.continuous import attend, no_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, no_mask)
    return NAME
