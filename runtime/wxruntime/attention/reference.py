"""What the kernels compute, in plain PyTorch: the truth that tests hold them against, and the fallback without Triton.

Signatures and shapes are those of wxruntime.attention.kernels; rounding is transformers'.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch.nn.functional import linear, scaled_dot_product_attention, silu

from wxruntime.sampling import uniform


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """q [new, heads, D] are the last positions of k, v [length, kv_heads, D]."""
    new, heads, _ = q.shape
    length, kv_heads, _ = k.shape
    seen = torch.arange(length, device=q.device) <= torch.arange(length - new, length, device=q.device)[:, None]
    k, v = (each.repeat_interleave(heads // kv_heads, 1).transpose(0, 1)[None] for each in (k, v))
    answer = scaled_dot_product_attention(q.transpose(0, 1)[None], k, v, attn_mask=seen, scale=scale)
    return answer[0].transpose(0, 1)


def _slots(pages: torch.Tensor, length: int, page: int) -> torch.Tensor:
    at = torch.arange(length, device=pages.device)
    return pages.long()[at // page] * page + at % page


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
    out = torch.zeros(q.shape, dtype=q.dtype, device=q.device)
    for row, position in enumerate(positions.tolist()):
        if position >= 0:
            slots = _slots(table[row], position + 1, page)
            out[row] = _attend(q[row : row + 1], keys[slots], values[slots], scale)[0]
    return out


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
    out = torch.zeros(q.shape, dtype=q.dtype, device=q.device)
    starts = q_starts.tolist()
    for row, (first, last) in enumerate(pairwise(starts)):
        if first == last:
            continue
        if lengths is not None:
            slots = _slots(where[row], int(lengths[row]), page)
        else:
            assert k_starts is not None
            slots = where[int(k_starts[row]) : int(k_starts[row + 1])].long()
        out[first:last] = _attend(q[first:last], keys[slots], values[slots], scale)
    return out


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
    kv_heads, width = keys.shape[1:]
    real = (positions >= 0).nonzero()[:, 0]
    at = positions[real].long()
    if slots is None:
        assert table is not None
        slots = table[real, at // page].long() * page + at % page
    else:
        slots = slots[real].long()
    heads_of = qkv.view(qkv.shape[0], heads + 2 * kv_heads, width)
    turned = heads_of[real, : heads + kv_heads].float()
    cos, sin = cosines[at][:, None], sines[at][:, None]
    a, b = turned[..., 0::2], turned[..., 1::2]
    turned = torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(qkv.dtype)
    heads_of[real, :heads] = turned[:, :heads]
    keys[slots] = turned[:, heads:]
    values[slots] = heads_of[real, heads + kv_heads :]


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float, residual: torch.Tensor | None = None) -> torch.Tensor:
    if residual is not None:
        x = residual.add_(x)
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def silu_gate(both: torch.Tensor) -> torch.Tensor:
    gate, up = both.chunk(2, -1)
    return silu(gate) * up


def draw(
    logits: torch.Tensor,
    temperatures: torch.Tensor,
    top_ps: torch.Tensor,
    seeds: torch.Tensor,
    positions: torch.Tensor,
    tokens: torch.Tensor,
    drawn: torch.Tensor,
    logprobs: torch.Tensor,
    advance: bool,
) -> None:
    wide = logits.float()
    own = torch.log_softmax(wide, -1)
    scaled = wide - wide.amax(-1, keepdim=True)
    scaled = scaled / torch.where(temperatures > 0, temperatures, 1)[:, None]
    likely = torch.softmax(scaled, -1)
    ordered, order = likely.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    outside = torch.zeros_like(likely, dtype=torch.bool).scatter(-1, order, before >= top_ps[:, None])
    keys = _mix((seeds.long() & _WORD) + 0x9E3779B9 + positions.long() + 1)
    keys = torch.where(keys >= 2**31, keys - 2**32, keys).int()
    noise = -torch.log(-torch.log(uniform(keys[:, None], torch.arange(wide.shape[1], device=keys.device).int())))
    greedy = temperatures[:, None] == 0
    chosen = torch.where(greedy, wide, (scaled + noise).masked_fill(outside, -torch.inf)).argmax(-1)
    real = positions >= 0
    drawn[real] = chosen[real].to(drawn.dtype)
    logprobs[real] = own.gather(-1, chosen[:, None])[real, 0]
    if advance:
        tokens[real] = chosen[real].to(tokens.dtype)
        positions[real] += 1


Tile = tuple[int, int, int, int, bool]


def splits(rows: int, kv_heads: int, processors: int) -> int:
    return 1


def candidates(padded: int, fp8: bool) -> list[Tile]:
    return []


def skinny(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor | None, tile: Tile) -> torch.Tensor:
    product = linear(x, weight.to(x.dtype))
    return product if scale is None else (product * scale).to(x.dtype)


def quantize_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scale = x.float().abs().amax(-1, keepdim=True).clamp(min=1e-12) / 448.0
    return (x.float() / scale).to(torch.float8_e4m3fn), scale


_WORD = 0xFFFFFFFF


def _mix(word: torch.Tensor) -> torch.Tensor:
    """lowbias32 on whole numbers, whatever their size (wxruntime.sampling)."""
    word = word & _WORD
    word = ((word ^ (word >> 16)) * 0x7FEB352D) & _WORD
    word = ((word ^ (word >> 15)) * 0x846CA68B) & _WORD
    return word ^ (word >> 16)
