"""SwiGLU's second half: silu(gate) * up, of the two halves of one product."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin


@triton.jit
def _gate(both, out, width, BLOCK: tl.constexpr, EARLY: tl.constexpr):
    begin(EARLY)
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = i < width
    kind = out.dtype.element_ty
    gate = tl.load(both + row * 2 * width + i, mask=real, other=0.0).to(tl.float32)
    up = tl.load(both + row * 2 * width + width + i, mask=real, other=0.0).to(tl.float32)
    gate = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    tl.store(out + row * width + i, (gate * up).to(kind), mask=real)


def silu_gate(both: torch.Tensor) -> torch.Tensor:
    """both [rows, 2 width] -> [rows, width]."""
    rows, width = both.shape[0], both.shape[1] // 2
    out = torch.empty((rows, width), dtype=both.dtype, device=both.device)
    block = 1024
    _gate[(rows, triton.cdiv(width, block))](both, out, width, BLOCK=block, num_warps=4, EARLY=EARLY, **LAUNCH)
    return out
