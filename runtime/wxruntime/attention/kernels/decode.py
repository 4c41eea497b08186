"""Attention of one new token a sequence over its paged keys and values, split along the sequence (flash-decoding).

The query heads that share a key head are one tile, so keys and values are read once for all of them. The grid depends
on the padded batch alone and the lengths stay on the device: a CUDA graph that captured a launch serves any lengths.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from wxruntime.attention.kernels.dependent import EARLY, LAUNCH, begin

KEYS = 64  # keys of a tile; the pool's page holds a whole number of them
MOST_SPLITS = 64


@triton.jit(do_not_specialize=["splits"])
def _attend(
    q, keys, values, table, positions, out, part, part_ml, scale, q_stride, table_stride, page_stride, splits,
    KV: tl.constexpr, GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr,
    KEYS: tl.constexpr, ONE: tl.constexpr, EXACT: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(EARLY)
    row = tl.program_id(0)
    kv = tl.program_id(1)
    scale = tl.cast(scale, tl.float32)  # torch.compile passes a float in 64 bits
    split = tl.program_id(2)
    length = tl.load(positions + row) + 1  # a row that holds no sequence has position -1
    tiles = tl.cdiv(tl.cdiv(length, KEYS), splits)
    first = split * tiles * KEYS
    last = tl.minimum(length, first + tiles * KEYS)
    if (not ONE) & (first >= last):
        return
    g = tl.arange(0, ROWS)
    d = tl.arange(0, D)
    n = tl.arange(0, KEYS)
    heads = kv * GROUP + g
    query = tl.load(
        q + row.to(tl.int64) * q_stride + heads[:, None] * D + d[None, :], mask=g[:, None] < GROUP, other=0.0
    )
    best = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    for start in range(first, last, KEYS):
        page = tl.load(table + row * table_stride + start // PAGE).to(tl.int64)
        slot = page * PAGE + start % PAGE + n
        here = start + n < last
        at = slot[:, None] * page_stride + kv * D + d[None, :]
        k = tl.load(keys + at, mask=here[:, None], other=0.0)
        if EXACT:
            score = tl.dot(query, tl.trans(k), input_precision="ieee") * scale
        else:
            score = tl.dot(query, tl.trans(k)) * scale
        score = tl.where(here[None, :], score, float("-inf"))
        better = tl.maximum(best, tl.max(score, 1))
        weight = tl.exp2(score - better[:, None])
        shrink = tl.exp2(best - better)
        total = total * shrink + tl.sum(weight, 1)
        v = tl.load(values + at, mask=here[:, None], other=0.0)
        if EXACT:
            acc = acc * shrink[:, None] + tl.dot(weight.to(v.dtype), v, input_precision="ieee")
        else:
            acc = acc * shrink[:, None] + tl.dot(weight.to(v.dtype), v)
        best = better
    if ONE:
        answer = acc / tl.where(total > 0, total, 1.0)[:, None]
        to = (row * KV * GROUP + heads)[:, None] * D + d[None, :]
        tl.store(out + to, answer.to(out.dtype.element_ty), mask=g[:, None] < GROUP)
    else:
        at = (row * KV * GROUP + heads) * splits + split
        tl.store(part + at[:, None] * D + d[None, :], acc, mask=g[:, None] < GROUP)
        tl.store(part_ml + at * 2, best, mask=g < GROUP)
        tl.store(part_ml + at * 2 + 1, total, mask=g < GROUP)


@triton.jit(do_not_specialize=["splits"])
def _join(
    part, part_ml, positions, out, splits,
    HEADS: tl.constexpr, D: tl.constexpr, KEYS: tl.constexpr, PADDED: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(EARLY)
    row = tl.program_id(0)
    head = tl.program_id(1)
    length = tl.load(positions + row) + 1
    tiles = tl.cdiv(tl.cdiv(length, KEYS), splits)
    split = tl.arange(0, PADDED)
    d = tl.arange(0, D)
    there = (split < splits) & (split * tiles * KEYS < length)  # what the others left there is of another step
    at = (row * HEADS + head) * splits + split
    best = tl.load(part_ml + at * 2, mask=there, other=float("-inf"))
    total = tl.load(part_ml + at * 2 + 1, mask=there, other=0.0)
    top = tl.max(best, 0)
    weight = tl.where(there, tl.exp2(best - tl.where(length > 0, top, 0.0)), 0.0)
    acc = tl.load(part + at[:, None] * D + d[None, :], mask=there[:, None], other=0.0)
    total = tl.sum(weight * total, 0)
    answer = tl.sum(weight[:, None] * acc, 0) / tl.where(total > 0, total, 1.0)
    tl.store(out + (row * HEADS + head) * D + d, answer.to(out.dtype.element_ty))


def splits(rows: int, kv_heads: int, processors: int) -> int:
    """In how many parts a sequence is read so that the launch fills the device about twice."""
    return max(1, min(MOST_SPLITS, 2 * processors // max(1, rows * kv_heads)))


def attend_decode(
    q: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    table: torch.Tensor,
    positions: torch.Tensor,
    page: int,
    scale: float,
    parts: int,
) -> torch.Tensor:
    """q [rows, heads, D], its rows may be apart; keys, values [slots, kv_heads, D]; table [rows, pages] of numbers of
    pages of `page` slots; positions [rows] of the new tokens, of which the keys are in the cache already; -1 gives
    zeros. Returns [rows, heads, D]."""
    rows, heads, width = q.shape
    kv_heads = keys.shape[1]
    group = heads // kv_heads
    out = torch.empty((rows, heads, width), dtype=q.dtype, device=q.device)
    part = torch.empty((rows, heads, parts, width) if parts > 1 else (1,), dtype=torch.float32, device=q.device)
    part_ml = torch.empty((rows, heads, parts, 2) if parts > 1 else (1,), dtype=torch.float32, device=q.device)
    tile = min(KEYS, page)
    exact = q.dtype == torch.float32
    _attend[(rows, kv_heads, parts)](
        q, keys, values, table, positions, out, part, part_ml, scale * 1.4426950408889634,
        q.stride(0), table.stride(0), keys.stride(0), parts,
        KV=kv_heads, GROUP=group, ROWS=max(16, triton.next_power_of_2(group)), D=width, PAGE=page,
        KEYS=tile, ONE=parts == 1, EXACT=exact, num_warps=4, num_stages=3, EARLY=EARLY, **LAUNCH,
    )  # fmt: skip
    if parts > 1:
        _join[(rows, heads)](
            part, part_ml, positions, out, parts,
            HEADS=heads, D=width, KEYS=tile, PADDED=MOST_SPLITS, num_warps=4, EARLY=EARLY, **LAUNCH,
        )  # fmt: skip
    return out
