"""Weights to few bits and back: the scale of each row or group is searched for the least squared error.

The largest weight alone would give a scale that wastes levels on one outlier; cutting it a little off makes all others
finer. Scales are rounded to the type they are stored in before they are tried, so every reader sees the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from wxruntime.models.precision import Precision

# Which part of the largest weight the range ends at, tried in turn. Floats gain little from a smaller range.
SHRINK = {
    "fp8": (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7),
    "int8": tuple(1 - 0.02 * step for step in range(13)),
    "int4": tuple(1 - 0.02 * step for step in range(31)),
}
PIECE = 1 << 22  # weights looked at together, so that the search takes little memory beside the matrix
SMALLEST = 1e-10  # scale of weights that are all zero


@dataclass(frozen=True, slots=True)
class Rounded:
    """values: (out, in), float8 or int8. scale: (out, groups) of the weight's own type; 1 where a row has one scale."""

    values: torch.Tensor
    scale: torch.Tensor


def round_weight(weight: torch.Tensor, precision: Precision, group: int | None, *, search: bool = True) -> Rounded:
    """weight: (out, in). Without `search` the largest weight gives the scale."""
    rows = max(1, PIECE // weight.shape[1])
    scales = [find_scale(piece, precision, group, search=search) for piece in weight.split(rows)]
    scale = torch.cat(scales)
    values = torch.cat(
        [to_values(piece, part, precision) for piece, part in zip(weight.split(rows), scale.split(rows), strict=True)]
    )
    return Rounded(values, scale)


def find_scale(
    weight: torch.Tensor,
    precision: Precision,
    group: int | None,
    importance: torch.Tensor | None = None,
    *,
    search: bool = True,
) -> torch.Tensor:
    """(out, groups), of the weight's type: of all in SHRINK the one with the least squared error.

    importance: (in,), how much an error in each column counts; None is all alike.
    """
    grouped = weight.float().unflatten(1, (-1, group or weight.shape[1]))
    counts = None if importance is None else importance.float().unflatten(0, (-1, group or weight.shape[1]))
    largest = grouped.abs().amax(dim=-1)
    middle = (precision.highest - precision.lowest) / 2
    best = torch.full_like(largest, torch.inf)
    found = torch.empty(largest.shape, dtype=weight.dtype, device=weight.device)
    for part in SHRINK[precision.name] if search else (1.0,):
        scale = (largest * (part / middle)).clamp(min=SMALLEST).to(weight.dtype)
        used = scale.float().clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(-1)
        error = (_level(grouped / used, precision) * used - grouped).square()
        error = (error if counts is None else error * counts).sum(dim=-1)
        found = torch.where(error < best, scale, found)
        best = torch.minimum(error, best)
    return found


def to_values(weight: torch.Tensor, scale: torch.Tensor, precision: Precision) -> torch.Tensor:
    """Each weight as the nearest level under its scale; shape as the weight's."""
    per = scale.float().clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(-1)
    levels: torch.Tensor = _level(weight.float().unflatten(1, (scale.shape[1], -1)) / per, precision)
    return levels.flatten(1).to(torch.float8_e4m3fn if precision.kind == "float" else torch.int8)


def to_weight(rounded: Rounded, dtype: torch.dtype) -> torch.Tensor:
    """What the rounded weight stands for."""
    grouped: torch.Tensor = rounded.values.float().unflatten(1, (rounded.scale.shape[1], -1))
    return (grouped * rounded.scale.float().unsqueeze(-1)).flatten(1).to(dtype)


def round_activations(inputs: torch.Tensor, precision: Precision) -> torch.Tensor:
    """What is left of a layer's inputs (..., in) after they are rounded token by token, as vLLM's kernels do."""
    wide = inputs.float()
    highest = precision.highest if precision.kind == "float" else -precision.lowest - 1
    scale = wide.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST) / highest
    return (_level(wide / scale, precision) * scale).to(inputs.dtype)


def _level(value: torch.Tensor, precision: Precision) -> torch.Tensor:
    bounded = value.clamp(precision.lowest, precision.highest)
    return bounded.to(torch.float8_e4m3fn).float() if precision.kind == "float" else bounded.round()
