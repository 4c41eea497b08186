"""The product of a few rows with a weight that is read once: what a decode step of a small batch mostly is.

An FP8 weight is widened on the way, so that a small batch needs no rounding of its input.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin

# Rows are padded to one of these; above the last the library's product is used.
PADDED_ROWS = (16, 64)


@triton.jit(do_not_specialize=["rows"])
def _product(
    x, weight, scale, out, rows, outs, ins,
    SCALED: tl.constexpr, TALL: tl.constexpr, ROWS: tl.constexpr, OUTS: tl.constexpr, INS: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * OUTS + tl.arange(0, OUTS)
    r = tl.arange(0, ROWS)
    k = tl.arange(0, INS)
    here = n[:, None] < outs
    real = r[:, None] < rows
    to_weight = weight + n.to(tl.int64)[:, None] * ins + k[None, :]
    w = tl.load(to_weight, mask=here, other=0.0)  # a weight: nobody writes it, so it may come before the input is there
    begin(EARLY)
    a = tl.load(x + r[:, None] * ins + k[None, :], mask=real, other=0.0)
    if TALL:
        acc = tl.dot(w.to(a.dtype), tl.trans(a))
    else:
        acc = tl.dot(a, tl.trans(w.to(a.dtype)))
    for start in range(INS, ins, INS):
        w = tl.load(to_weight + start, mask=here, other=0.0)
        a = tl.load(x + r[:, None] * ins + (start + k)[None, :], mask=real, other=0.0)
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
    """x [rows <= 64, in] by weight [out, in], times scale [out] where there is one.

    tile: outputs and inputs of a tile (`in` is a multiple of the second), warps, stages, and whether the weight is the
    tall operand."""
    rows, ins = x.shape
    outs = weight.shape[0]
    padded = next(each for each in PADDED_ROWS if each >= rows)
    outs_of, ins_of, warps, stages, tall = tile
    out = torch.empty((rows, outs), dtype=x.dtype, device=x.device)
    _product[(triton.cdiv(outs, outs_of),)](
        x, weight, weight if scale is None else scale, out, rows, outs, ins,
        SCALED=scale is not None, TALL=tall, ROWS=padded, OUTS=outs_of, INS=ins_of,
        num_warps=warps, num_stages=stages, EARLY=EARLY, **LAUNCH,
    )  # fmt: skip
    return out


def candidates(padded: int, fp8: bool) -> list[tuple[int, int, int, int, bool]]:
    """The tiles to choose from, the likeliest first. An FP8 weight is half as long: more of it must be on its way."""
    if padded > 16:
        return [(64, 128, 4, 4, True), (128, 128, 8, 4, True)]
    if fp8:
        return [(32, 256, 4, 4, False), (32, 256, 4, 8, False), (32, 512, 8, 4, False), (16, 512, 4, 6, False)]
    return [(32, 256, 4, 4, False), (16, 256, 4, 6, False), (64, 128, 4, 5, True), (64, 128, 4, 5, False)]
