"""A rounded checkpoint as whole weights again, which a backend without kernels for few bits can run.

Memory, plainly: the model then takes what it took before it was rounded. Disk and transport are all that is saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from wxruntime.models.errors import ModelError
from wxruntime.models.packing import unpack
from wxruntime.models.precision import Precision, precision_of, refuse_unlike
from wxruntime.models.rounding import Rounded, to_weight
from wxruntime.models.shards import tensors


def precision_in(directory: Path) -> Precision | None:
    """The precision of a checkpoint's weights, None when they are whole. Raise ModelError for an unknown one."""
    config = json.loads((directory / "config.json").read_bytes())
    try:
        precision = precision_of(config)
        if precision is not None:
            refuse_unlike(config)
        return precision
    except ValueError as error:
        raise ModelError(
            f"the weights are rounded in a way that is not known here: {error}",
            where=directory / "config.json",
            fix="make one with `wxops model quantize`, or serve this one with vLLM",
        ) from None


def whole_weights(directory: Path, dtype: torch.dtype, device: str = "cpu") -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of a rounded checkpoint as the one it was made from had it, by that name, near its value."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    precision = precision_in(directory)
    for name, tensor in tensors(directory, device):
        module, _, part = name.rpartition(".")
        if precision is None or part not in _PARTS or (part == "weight" and tensor.dtype not in _VALUES):
            yield name, tensor
            continue
        held = parts.setdefault(module, {})
        held[part] = tensor
        if "weight_scale" in held and ("weight" in held or {"weight_packed", "weight_shape"} <= set(held)):
            yield f"{module}.weight", _whole(parts.pop(module), dtype)
    if parts:
        module, held = next(iter(parts.items()))
        raise ModelError(
            f"of {module} there is only {', '.join(held)}", where=directory, fix="quantize the model again"
        )


def _whole(held: dict[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    if "weight_packed" in held:
        rows, columns = held["weight_shape"].tolist()
        values = unpack(held["weight_packed"])[:rows, :columns]
    else:
        values = held["weight"]
    scale = held["weight_scale"]
    return to_weight(Rounded(values, scale if scale.ndim == 2 else scale.reshape(-1, 1)), dtype)


def unquantized(config: Any) -> Any:
    """A transformers configuration that says nothing of rounding, so that no quantizer is asked for."""
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    return config


_PARTS = frozenset({"weight", "weight_scale", "weight_packed", "weight_shape"})
_VALUES = (torch.float8_e4m3fn, torch.int8)
