"""Round each row to FP8 by its own largest magnitude, in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin


@triton.jit
def _quantize(x, out, scales, width, PADDED: tl.constexpr, EARLY: tl.constexpr):
    begin(EARLY)
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, PADDED)
    value = tl.load(x + row * width + i, mask=i < width, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(value), 0), 1e-12) / 448.0
    tl.store(out + row * width + i, (value / scale).to(tl.float8e4nv), mask=i < width)
    tl.store(scales + row, scale)


def quantize_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x [rows, width] -> float8_e4m3fn of the same shape, and scales [rows, 1] by which it is to be multiplied."""
    rows, width = x.shape
    out = torch.empty((rows, width), dtype=torch.float8_e4m3fn, device=x.device)
    scales = torch.empty((rows, 1), dtype=torch.float32, device=x.device)
    padded = triton.next_power_of_2(width)
    _quantize[(rows,)](
        x, out, scales, width, PADDED=padded, num_warps=8 if padded >= 4096 else 4, EARLY=EARLY, **LAUNCH
    )
    return out, scales
