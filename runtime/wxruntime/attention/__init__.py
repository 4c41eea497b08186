"""Attention over a paged cache on the GPU, in kernels of our own: nothing is fetched from a hub.

`install()` gives a model of transformers one that its continuous batching can use; wxruntime.paged calls the kernels.
"""

from __future__ import annotations

from typing import Any

# A name with "flash" in it gets the lengths of the sequences from transformers, and no mask.
NAME = "flash_wxruntime"


def install(model: Any) -> None:
    """Let `model`, loaded with `sdpa`, use our attention in continuous batching; where Triton is, and on a GPU."""
    from transformers import AttentionInterface

    from wxruntime.attention.continuous import attend
    from wxruntime.attention.ops import TRITON

    if TRITON:
        AttentionInterface.register(NAME, attend)
        model.config._attn_implementation = NAME  # set_attn_implementation() would look for it on a hub
