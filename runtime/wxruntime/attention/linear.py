"""A linear layer's product in the weight's own precision, or in FP8 with a scale for each row of input and output."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn.functional import linear

from wxruntime.attention.ops import MOST_ROWS, TRITON, quantize_rows, skinny, tile_for

# The largest number of float8_e4m3fn.
FP8_MOST = 448.0


class Linear(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [rows, in] -> [rows, out]."""

    @property
    def bytes(self) -> int:
        """What a step reads of it."""


class Dense:
    """Weight [out, in]."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        few = few_rows(x, self.weight, None)
        return linear(x, self.weight) if few is None else few

    @property
    def bytes(self) -> int:
        return self.weight.numel() * self.weight.element_size()


class Fp8:
    """Weight [out, in] in float8_e4m3fn with a scale [out]; the input is scaled row by row as it comes."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor) -> None:
        self.weight, self.scale = weight, scale.float().reshape(1, -1).contiguous()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_cuda:
            return linear(x, (self.weight.float() * self.scale.T).to(x.dtype))
        few = few_rows(x, self.weight, self.scale[0])
        if few is not None:
            return few
        small, scale = quantize_rows(x)
        return torch._scaled_mm(
            small, self.weight.t(), scale_a=scale, scale_b=self.scale, out_dtype=x.dtype, use_fast_accum=True
        )

    @property
    def bytes(self) -> int:
        return self.weight.numel() + 4 * self.scale.numel()


def few_rows(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor | None:
    """The product by our own kernel where it is the faster one, else None."""
    if not (TRITON and x.is_cuda) or x.shape[0] > MOST_ROWS:
        return None
    tile = tile_for(weight.shape[0], weight.shape[1], fp8=scale is not None)
    return None if tile is None else skinny(x, weight, scale, tile)


def quantized(weight: torch.Tensor) -> Fp8:
    """Round each output channel to FP8 by its own largest magnitude."""
    scale = weight.float().abs().amax(1).clamp(min=1e-12) / FP8_MOST
    return Fp8((weight.float() / scale[:, None]).clamp(-FP8_MOST, FP8_MOST).to(torch.float8_e4m3fn), scale)
