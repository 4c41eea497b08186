"""The product of a few rows with a weight that is read once: what a decode step of a small batch mostly is.

An FP8 weight is widened on the way, so that a small batch needs no rounding of its input.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

MOST_ROWS = 16


@triton.jit(do_not_specialize=["rows"])
def _product(
    x, weight, scale, out, rows, outs, ins,
    SCALED: tl.constexpr, TALL: tl.constexpr, ROWS: tl.constexpr, OUTS: tl.constexpr, INS: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * OUTS + tl.arange(0, OUTS)
    r = tl.arange(0, ROWS)
    k = tl.arange(0, INS)
    if TALL:
        acc = tl.zeros([OUTS, ROWS], tl.float32)
    else:
        acc = tl.zeros([ROWS, OUTS], tl.float32)
    for start in range(0, ins, INS):
        w = tl.load(weight + n.to(tl.int64)[:, None] * ins + (start + k)[None, :], mask=n[:, None] < outs, other=0.0)
        a = tl.load(x + r[:, None] * ins + (start + k)[None, :], mask=r[:, None] < rows, other=0.0)
        if TALL:
            acc = tl.dot(w.to(a.dtype), tl.trans(a), acc)
        else:
            acc = tl.dot(a, tl.trans(w.to(a.dtype)), acc)
    if TALL:
        acc = tl.trans(acc)
    if SCALED:
        acc *= tl.load(scale + n, mask=n < outs, other=0.0)[None, :]
    to = out + r[:, None] * outs + n[None, :]
    tl.store(to, acc.to(out.dtype.element_ty), mask=(r[:, None] < rows) & (n[None, :] < outs))


def skinny(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor | None, tile: tuple[int, int, int, int, bool]
) -> torch.Tensor:
    """x [rows <= 16, in] by weight [out, in], times scale [out] where there is one.

    tile: outputs and inputs of a tile (`in` is a multiple of the second), warps, stages, and whether the weight is the
    tall operand."""
    rows, ins = x.shape
    outs = weight.shape[0]
    outs_of, ins_of, warps, stages, tall = tile
    out = torch.empty((rows, outs), dtype=x.dtype, device=x.device)
    _product[(triton.cdiv(outs, outs_of),)](
        x, weight, weight if scale is None else scale, out, rows, outs, ins,
        SCALED=scale is not None, TALL=tall, ROWS=MOST_ROWS, OUTS=outs_of, INS=ins_of,
        num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return out


def tile_for(outs: int, ins: int, fp8: bool) -> tuple[int, int, int, int, bool] | None:
    """The tile that was fastest on an H200 (docs/evidence/bench-gpu.txt), None where the library's product is."""
    if ins % 512:
        return None
    if fp8:
        return (16, 256, 4, 4, False) if outs <= 2048 else (32, 256, 4, 4, False)
    if outs <= 2048:
        return (16, 512, 4, 3, False)
    return (32, 256, 4, 4, False) if outs <= 4096 else (64, 128, 4, 5, False)
