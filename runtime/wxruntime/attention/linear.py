"""A linear layer's product in the weight's own precision, or in FP8 with a scale for each row of input and output.

For few rows there is a kernel of our own beside the library's. Which of its tiles is the fastest, or whether the
library is, depends on shape and card; `tune` measures it on the weights themselves, so that no cache flatters one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn.functional import linear

from wxruntime.attention.ops import PADDED_ROWS, UNFIT, candidates, quantize_rows, skinny
from wxruntime.attention.reference import Tile

log = logging.getLogger("wxruntime")

# The largest number of float8_e4m3fn.
FP8_MOST = 448.0
REPEATS = 3


class Linear:
    """Weight [out, in]; called with x [rows, in], gives [rows, out]."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor | None = None) -> None:
        self.weight, self.scale = weight, scale
        self.tiles: dict[int, Tile | None] = {}  # by padded number of rows; None, or more rows: the library's product

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.shape[0]
        tile = next((tile for padded, tile in self.tiles.items() if rows <= padded), None)
        return self.library(x) if tile is None else skinny(x, self.weight, self.scale, tile)

    def library(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight)


class Fp8(Linear):
    """Weight [out, in] in float8_e4m3fn, scale [out]. The library takes the input in FP8 too, scaled row by row."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__(weight, scale.float().reshape(-1).contiguous())

    def library(self, x: torch.Tensor) -> torch.Tensor:
        assert self.scale is not None
        if not x.is_cuda:
            return linear(x, (self.weight.float() * self.scale[:, None]).to(x.dtype))
        small, scale = quantize_rows(x)
        out_scale = self.scale[None]
        return torch._scaled_mm(
            small, self.weight.t(), scale_a=scale, scale_b=out_scale, out_dtype=x.dtype, use_fast_accum=True
        )


def quantized(weight: torch.Tensor) -> Fp8:
    """Round each output channel to FP8 by its own largest magnitude."""
    scale = weight.float().abs().amax(1).clamp(min=1e-12) / FP8_MOST
    return Fp8((weight.float() / scale[:, None]).clamp(-FP8_MOST, FP8_MOST).to(torch.float8_e4m3fn), scale)


def tune(alike: Sequence[Linear], dtype: torch.dtype) -> None:
    """Give layers of one shape the tile with which all are multiplied soonest. Without a GPU there is no choice."""
    weight = alike[0].weight
    if not weight.is_cuda or dtype == torch.float32:
        return
    outs, ins = weight.shape
    smallest = 0
    for padded in PADDED_ROWS:
        # As many rows as the library could be asked for: between this padding and the one before.
        x = torch.randn((smallest + padded) // 2 + 1, ins, device=weight.device, dtype=dtype)
        times: dict[Tile | None, float] = {None: _seconds([each.library for each in alike], x)}
        for tile in candidates(padded, alike[0].scale is not None):
            if ins % tile[1]:
                continue
            try:
                times[tile] = _seconds([partial(_skinny, each, tile) for each in alike], x)
            except UNFIT as error:
                log.debug("tile %s of %d x %d: %s", tile, outs, ins, error)
        best = min(times, key=lambda each: times[each])
        log.info("%d x %d, to %d rows: %s, %s us", outs, ins, padded, best or "library", f"{times[best] * 1e6:.1f}")
        for each in alike:
            each.tiles[padded] = best
        smallest = padded


def _skinny(layer: Linear, tile: Tile, x: torch.Tensor) -> torch.Tensor:
    return skinny(x, layer.weight, layer.scale, tile)


def _seconds(calls: Sequence[Callable[[torch.Tensor], torch.Tensor]], x: torch.Tensor) -> float:
    """For one of `calls`, in a CUDA graph of them all: that is how a step runs them."""
    calls[0](x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        for call in calls:
            call(x)
    graph.replay()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(REPEATS):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / REPEATS / len(calls)
