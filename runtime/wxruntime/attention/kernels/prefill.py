"""Causal attention of several new tokens a sequence over its paged keys and values, sequences packed one after another.

A tile is some queries of one sequence times the heads that share a key head. Which sequence a tile belongs to is looked
up on the device, so the grid depends on the padded sizes alone. A key's slot is found in a table of pages, or in a list
with an entry for each key, which is what transformers' continuous batching gives.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

LOOSE = ["sequences", "where_stride", "where", "q_starts", "k_starts", "lengths"]  # one build serves them all


@triton.jit(do_not_specialize=LOOSE[:2], do_not_specialize_on_alignment=LOOSE[2:])
def _attend(
    q, keys, values, where, q_starts, k_starts, lengths, out, scale, sequences, q_stride, where_stride, slot_stride,
    KV: tl.constexpr, GROUP: tl.constexpr, QUERIES: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr,
    PAGE: tl.constexpr, KEYS: tl.constexpr, STEPS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    kv = tl.program_id(1)
    scale = tl.cast(scale, tl.float32)  # torch.compile passes a float in 64 bits
    # Sequence i's tiles begin at q_starts[i] // QUERIES + i or later, which rises with i: a binary search finds it.
    low = 0
    high = sequences
    for _ in range(STEPS):
        middle = (low + high) // 2
        begins = tl.load(q_starts + middle) // QUERIES + middle
        inside = begins <= tile
        low = tl.where((low < high) & inside, middle + 1, low)
        high = tl.where((low <= high) & (begins > tile), tl.minimum(middle, high), high)
    sequence = low - 1
    q_first = tl.load(q_starts + sequence)
    new = tl.load(q_starts + sequence + 1) - q_first
    begin = (tile - q_first // QUERIES - sequence) * QUERIES
    if begin >= new:
        return
    if PAGE > 0:
        length = tl.load(lengths + sequence)
        k_first = 0
    else:
        k_first = tl.load(k_starts + sequence)
        length = tl.load(k_starts + sequence + 1) - k_first
    r = tl.arange(0, ROWS)
    d = tl.arange(0, D)
    n = tl.arange(0, KEYS)
    token = begin + r // GROUP
    heads = kv * GROUP + r % GROUP
    real = (r < QUERIES * GROUP) & (token < new)
    at = (q_first + token).to(tl.int64)
    query = tl.load(q + at[:, None] * q_stride + heads[:, None] * D + d[None, :], mask=real[:, None], other=0.0)
    position = length - new + token
    last = tl.minimum(length, length - new + begin + QUERIES)
    whole = (length - new + begin + 1) // KEYS * KEYS  # tiles before it are seen by every query
    best = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    for start in range(0, last, KEYS):
        here = start + n < last
        if PAGE > 0:
            page = tl.load(where + sequence * where_stride + start // PAGE).to(tl.int64)
            slot = page * PAGE + start % PAGE + n
        else:
            slot = tl.load(where + k_first + start + n, mask=here, other=0).to(tl.int64)
        to = slot[:, None] * slot_stride + kv * D + d[None, :]
        k = tl.load(keys + to, mask=here[:, None], other=0.0)
        if EXACT:
            score = tl.dot(query, tl.trans(k), input_precision="ieee") * scale
        else:
            score = tl.dot(query, tl.trans(k)) * scale
        if start >= whole:
            score = tl.where((start + n)[None, :] <= position[:, None], score, float("-inf"))
        better = tl.maximum(best, tl.max(score, 1))
        weight = tl.exp2(score - better[:, None])
        shrink = tl.exp2(best - better)
        total = total * shrink + tl.sum(weight, 1)
        v = tl.load(values + to, mask=here[:, None], other=0.0)
        if EXACT:
            acc = acc * shrink[:, None] + tl.dot(weight.to(v.dtype), v, input_precision="ieee")
        else:
            acc = acc * shrink[:, None] + tl.dot(weight.to(v.dtype), v)
        best = better
    answer = acc / tl.where(total > 0, total, 1.0)[:, None]
    to = at[:, None] * (KV * GROUP * D) + heads[:, None] * D + d[None, :]
    tl.store(out + to, answer.to(out.dtype.element_ty), mask=real[:, None])


def attend_prefill(
    q: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    where: torch.Tensor,
    q_starts: torch.Tensor,
    k_starts: torch.Tensor | None,
    lengths: torch.Tensor | None,
    page: int,
    scale: float,
) -> torch.Tensor:
    """q [tokens, heads, D]; q_starts [sequences + 1]: where each sequence's new tokens begin, the last its end.

    page > 0: where [sequences, pages] numbers pages, lengths [sequences] counts keys with the new ones.
    page = 0: where [keys] has the slot of each key, k_starts [sequences + 1] where each sequence's begin.
    Tokens of no sequence give what the memory held, with page = 0 zeros. Returns [tokens, heads, D]."""
    tokens, heads, width = q.shape
    sequences = q_starts.shape[0] - 1
    kv_heads = keys.shape[1]
    group = heads // kv_heads
    rows = 128 if tokens * group >= 64 * sequences else max(16, triton.next_power_of_2(group))
    queries = rows // group
    # Continuous batching takes tokens of no sequence through all layers: as equals they ask the same few experts.
    make = torch.empty if page else torch.zeros
    out = make((tokens, heads, width), dtype=q.dtype, device=q.device)
    any_starts = k_starts if k_starts is not None else q_starts
    any_lengths = lengths if lengths is not None else q_starts
    _attend[(tokens // queries + sequences, kv_heads)](
        q, keys, values, where, q_starts, any_starts, any_lengths, out, scale * 1.4426950408889634, sequences,
        q.stride(0), where.stride(0), keys.stride(0),
        KV=kv_heads, GROUP=group, QUERIES=queries, ROWS=rows, D=width, PAGE=page,
        KEYS=min(64, page) if page else 64, STEPS=12, EXACT=q.dtype == torch.float32,
        num_warps=8 if rows == 128 else 4, num_stages=3,
    )  # fmt: skip
    return out
