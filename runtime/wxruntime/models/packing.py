"""int4 weights, eight in an int32: compressed-tensors' pack-quantized layout, the lowest bits first, offset by 8."""

from __future__ import annotations

import torch

EACH, OFFSET = 8, 8  # weights in a word; what makes -8..7 not negative


def pack(values: torch.Tensor) -> torch.Tensor:
    """(out, in) int8 of -8..7, in a multiple of 8 -> (out, in / 8) int32."""
    nibbles = (values.to(torch.int64) + OFFSET).unflatten(1, (-1, EACH))
    word = (nibbles << (4 * torch.arange(EACH, device=values.device))).sum(dim=-1)
    return torch.where(word >= 1 << 31, word - (1 << 32), word).to(torch.int32)


def unpack(words: torch.Tensor) -> torch.Tensor:
    """The inverse of `pack`."""
    nibbles = (words.unsqueeze(-1) >> (4 * torch.arange(EACH, dtype=torch.int32, device=words.device))) & 0xF
    return (nibbles - OFFSET).to(torch.int8).flatten(1)
