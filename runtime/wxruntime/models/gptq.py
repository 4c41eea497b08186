"""GPTQ: a weight's columns are rounded one after the other, and what each loses the columns after it make up for.

Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, arXiv:2210.17323.
What counts as lost is the change of the layer's output, so it takes the inputs' second moments from real text.
"""

from __future__ import annotations

import torch

from wxruntime.models.precision import Precision
from wxruntime.models.rounding import Rounded, find_scale, to_values, to_weight

BLOCK = 128  # columns between two updates of all that follow; a multiple of every group
DAMP = 0.01  # of the mean second moment, added to each, as in the paper
MOST_DAMP = 10.0  # with which any sum of squares can be inverted


def round_with_compensation(
    weight: torch.Tensor, moments: torch.Tensor, precision: Precision, group: int | None
) -> Rounded:
    """weight: (out, in). moments: (in, in), the sum of x xᵀ over the layer's inputs x, in float32."""
    left = weight.float()
    moments = moments.clone()
    unseen = moments.diagonal() == 0
    moments.diagonal()[unseen] = 1
    importance = moments.diagonal().clone()
    ahead = _ahead(moments, importance.mean())
    columns = weight.shape[1]
    width = group or columns
    scales = [find_scale(weight, precision, None, importance)] if group is None else []
    values = []
    for start in range(0, columns, BLOCK):
        end = min(start + BLOCK, columns)
        block, errors = left[:, start:end].clone(), torch.zeros_like(left[:, start:end])
        for at in range(end - start):
            if group is not None and (start + at) % width == 0:
                part = block[:, at : at + width].to(weight.dtype)
                scales.append(find_scale(part, precision, group, importance[start + at : start + at + width]))
            scale = scales[-1]
            value = to_values(block[:, at : at + 1], scale, precision)
            values.append(value)
            lost = block[:, at : at + 1] - to_weight(Rounded(value, scale), torch.float32)
            step = lost / ahead[start + at, start + at]
            block[:, at:] -= step * ahead[start + at, start + at : end]
            errors[:, at : at + 1] = step
        left[:, end:] -= errors @ ahead[start:end, end:]
    return Rounded(torch.cat(values, dim=1), torch.cat(scales, dim=1))


def _ahead(moments: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """The upper Cholesky factor of the inverse; damped more where inputs that are nearly alike leave no inverse."""
    damp = DAMP
    while True:
        damped = moments + damp * mean * torch.eye(len(moments), device=moments.device)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            ahead: torch.Tensor
            ahead, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed:
                return ahead
        if damp >= MOST_DAMP:
            raise ValueError("the inputs of this layer have no second moments that can be inverted")
        damp *= 10
