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


def round_with_compensation(
    weight: torch.Tensor, moments: torch.Tensor, precision: Precision, group: int | None
) -> Rounded:
    """weight: (out, in). moments: (in, in), the sum of x xᵀ over the layer's inputs x, in float32."""
    left = weight.float()
    moments = moments.clone()
    unseen = moments.diagonal() == 0
    moments.diagonal()[unseen] = 1
    importance = moments.diagonal().clone()
    moments.diagonal().add_(DAMP * importance.mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments))
    ahead = torch.linalg.cholesky(inverse, upper=True)
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
