"""Which code runs an operation: the Triton kernel where there is a GPU and Triton, else plain PyTorch.

TRITON_INTERPRET=1 runs the kernels on a CPU: that is how they are tested without a GPU.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch

TRITON = find_spec("triton") is not None and (torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1")

if TRITON:
    from wxruntime.attention.kernels.activation import silu_gate
    from wxruntime.attention.kernels.decode import attend_decode, splits
    from wxruntime.attention.kernels.draw import draw
    from wxruntime.attention.kernels.norm import rms_norm
    from wxruntime.attention.kernels.prefill import attend_prefill
    from wxruntime.attention.kernels.quantize import quantize_rows
    from wxruntime.attention.kernels.rotary import turn_and_store
    from wxruntime.attention.kernels.skinny import MOST_ROWS, skinny, tile_for
else:
    from wxruntime.attention.reference import (
        attend_decode,
        attend_prefill,
        draw,
        quantize_rows,
        rms_norm,
        silu_gate,
        skinny,
        turn_and_store,
    )

    MOST_ROWS = 0

    def splits(rows: int, kv_heads: int, processors: int) -> int:
        return 1

    def tile_for(outs: int, ins: int, fp8: bool) -> tuple[int, int, int, int, bool] | None:
        return None


__all__ = [
    "MOST_ROWS",
    "TRITON",
    "attend_decode",
    "attend_prefill",
    "draw",
    "quantize_rows",
    "rms_norm",
    "silu_gate",
    "skinny",
    "splits",
    "tile_for",
    "turn_and_store",
]
