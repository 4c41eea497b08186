"""Turn queries and keys by their positions, and put keys and values into the paged cache, in one pass.

ERNIE 4.5 turns pairs of neighbours (GPT-J's way), not halves.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin

HEADS_OF = 4  # heads of a program


@triton.jit(do_not_specialize_on_alignment=["positions", "slots", "table"])
def _turn(
    qkv, cosines, sines, positions, slots, table, keys, values, table_stride, slot_stride,
    HEADS: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr, SOME: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(EARLY)
    token = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + token)
    if position < 0:
        return
    if PAGE > 0:
        slot = tl.load(table + token * table_stride + position // PAGE).to(tl.int64) * PAGE + position % PAGE
    else:
        slot = tl.load(slots + token).to(tl.int64)
    HALF: tl.constexpr = D // 2
    h = tl.program_id(1) * SOME + tl.arange(0, SOME)[:, None]
    i = tl.arange(0, HALF)[None, :]
    d = tl.arange(0, D)[None, :]
    cos = tl.load(cosines + position.to(tl.int64) * HALF + i)
    sin = tl.load(sines + position.to(tl.int64) * HALF + i)
    at = qkv + token * ((HEADS + 2 * KV) * D) + h * D + d
    given = tl.load(at, mask=h < HEADS + 2 * KV, other=0.0)
    a, b = tl.split(tl.reshape(given.to(tl.float32), (SOME, HALF, 2)))
    turned = tl.reshape(tl.join(a * cos - b * sin, b * cos + a * sin), (SOME, D)).to(given.dtype)
    tl.store(at, turned, mask=h < HEADS)
    to = slot * slot_stride + d
    tl.store(keys + to + (h - HEADS) * D, turned, mask=(h >= HEADS) & (h < HEADS + KV))
    tl.store(values + to + (h - HEADS - KV) * D, given, mask=(h >= HEADS + KV) & (h < HEADS + 2 * KV))


def turn_and_store(
    qkv: torch.Tensor,
    cosines: torch.Tensor,
    sines: torch.Tensor,
    positions: torch.Tensor,
    slots: torch.Tensor | None,
    table: torch.Tensor | None,
    page: int,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: int,
) -> None:
    """qkv [tokens, (heads + 2 kv_heads) D], of which the queries are turned in place; cosines, sines [positions, D/2].

    A token's slot is slots[token], or that of its position in row `token` of `table` (page > 0). Position -1: none."""
    kv_heads, width = keys.shape[1:]
    _turn[(qkv.shape[0], triton.cdiv(heads + 2 * kv_heads, HEADS_OF))](
        qkv, cosines, sines, positions, positions if slots is None else slots, positions if table is None else table,
        keys, values, 0 if table is None else table.stride(0), keys.stride(0),
        HEADS=heads, KV=kv_heads, D=width, PAGE=0 if table is None else page, SOME=HEADS_OF,
        num_warps=2, EARLY=EARLY, **LAUNCH,
    )  # fmt: skip
