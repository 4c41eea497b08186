"""Attention over a paged cache on the GPU, in kernels of our own: nothing is fetched from a hub.

`install()` gives transformers an attention that its continuous batching can use; wxruntime.paged calls the kernels.
"""

from __future__ import annotations

# transformers asks for `paged|NAME`, and prepares neither mask nor gathered keys for a name that it does not know.
NAME = "paged|wxruntime"


def install() -> str:
    """Register the attention with transformers; returns the attn_implementation to load a model with.

    Without Triton or a GPU that is transformers' own `paged|sdpa`."""
    from wxruntime.attention.ops import TRITON

    if not TRITON:
        return "paged|sdpa"
    from transformers import AttentionInterface, AttentionMaskInterface

    from wxruntime.attention.continuous import attend, no_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, no_mask)
    return NAME
