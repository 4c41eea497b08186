"""RMSNorm, with the residual added first: one pass over what three kernels would read and write."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin


@triton.jit
def _norm(x, residual, weight, out, eps, width, ADD: tl.constexpr, PADDED: tl.constexpr, EARLY: tl.constexpr):
    begin(EARLY)
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, PADDED)
    real = i < width
    kind = out.dtype.element_ty
    value = tl.load(x + row * width + i, mask=real, other=0.0)
    if ADD:
        value = (value.to(tl.float32) + tl.load(residual + row * width + i, mask=real, other=0.0).to(tl.float32)).to(
            kind
        )
        tl.store(residual + row * width + i, value, mask=real)
    value = value.to(tl.float32)
    value = (value * tl.rsqrt(tl.sum(value * value, 0) / width + eps)).to(kind)
    scale = tl.load(weight + i, mask=real, other=0.0)
    tl.store(out + row * width + i, (value.to(tl.float32) * scale.to(tl.float32)).to(kind), mask=real)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float, residual: torch.Tensor | None = None) -> torch.Tensor:
    """x [rows, width]; with `residual`, that becomes residual + x and is what is normed. Rounds as transformers."""
    rows, width = x.shape
    out = torch.empty_like(x)
    padded = triton.next_power_of_2(width)
    _norm[(rows,)](
        x, x if residual is None else residual, weight, out, eps, width,
        ADD=residual is not None, PADDED=padded, num_warps=8 if padded >= 4096 else 4, EARLY=EARLY, **LAUNCH,
    )  # fmt: skip
    return out
