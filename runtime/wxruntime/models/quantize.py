"""A checkpoint made smaller: weights of attention and MLPs rounded, all else as it is, in vLLM's own format.

Tensor by tensor, so memory stays at a shard's size however large the model is; with a calibration text the model is
loaded as well (calibrate.py), because how much a column of a weight matters shows only in what runs through it.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from wxruntime.checkpoint import SERVED, read_checkpoint
from wxruntime.models.errors import ModelError
from wxruntime.models.manifest import NOT_LISTED, describe, manifest_digest, write_manifest
from wxruntime.models.packing import pack
from wxruntime.models.precision import GROUPS, Precision
from wxruntime.models.report import Sizes
from wxruntime.models.rounding import Rounded, round_weight
from wxruntime.models.shards import INDEX, SHARD_BYTES, ShardWriter, placed, size_on_disk, tensors
from wxruntime.models.tree import regular_files

log = logging.getLogger("wxruntime")

ROUNDED = re.compile(
    r"model\.layers\.\d+\.(self_attn|mlp|mlp\.shared_experts|mlp\.experts\.\d+)\.(q|k|v|o|gate|up|down)_proj\.weight"
)
"""What is rounded. Embeddings, head, norms, routers and the layers of multi-token prediction keep their type."""
WHOLE = {torch.bfloat16, torch.float16, torch.float32}

Rounder = Callable[[str, torch.Tensor], Rounded]


def quantize(
    source: Path,
    target: Path,
    precision: Precision,
    *,
    device: str = "cpu",
    rounder: Rounder | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Sizes:
    """Write `target` (new), whole or not at all, and return the sizes. Raise ModelError for what cannot be quantized.

    rounder: how a weight is rounded, given its name; by default each by itself.
    """
    require_new(target)
    checkpoint = read_checkpoint(source)
    config = refuse_rounded(source)
    group = pick_group(source, precision)
    rounder = rounder or (lambda _, weight: round_weight(weight, precision, group))
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as unfinished:
        whole = Path(unfinished, "whole")
        whole.mkdir()
        kept, before, after = _write(source, whole, precision, rounder, device, shard_bytes)
        config["quantization_config"] = precision.config(group, kept)
        (whole / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        _copy_the_rest(source, whole)
        sizes = Sizes(before, after, size_on_disk(source), size_on_disk(whole))
        origin = {"scheme": precision.name, "from": source.resolve().name, "manifest": manifest_digest(source)}
        write_manifest(whole, describe(whole, target.name, origin))
        whole.rename(target)
    log.info("%s: %s of %s, %s", target, precision.name, SERVED[checkpoint.model_type], asdict(sizes))
    return sizes


def require_new(target: Path) -> None:
    if target.exists():
        raise ModelError("this is there already", where=target, fix="name a directory that is not there")


def pick_group(source: Path, precision: Precision) -> int | None:
    """The largest group that divides every row which is to be rounded; None where the precision has no groups."""
    widths = {name: _width(source, name, file) for name, file in placed(source).items() if ROUNDED.fullmatch(name)}
    if not widths:
        raise ModelError("there is no weight to round", where=source, fix="name an ERNIE 4.5 in Hugging Face layout")
    if not precision.grouped:
        return None
    group = next((group for group in GROUPS if all(width % group == 0 for width in widths.values())), None)
    if group is None:
        odd = next(name for name, width in widths.items() if width % GROUPS[-1])
        raise ModelError(
            f"{odd} has rows of {widths[odd]} weights, which no group of {', '.join(map(str, GROUPS))} divides",
            where=source,
            fix="use --fp8 or --int8: they need no groups",
        )
    return group


def _write(
    source: Path, whole: Path, precision: Precision, rounder: Rounder, device: str, shard_bytes: int
) -> tuple[list[str], int, int]:
    """Returns modules that were kept, and bytes of the rounded weights before and after."""
    kept, before, after = ["lm_head"], 0, 0
    with torch.inference_mode(), ShardWriter(whole, shard_bytes) as writer:
        for name, tensor in tensors(source, device):
            if not ROUNDED.fullmatch(name):
                writer.add(name, tensor)
                if _is_linear(name, tensor):
                    kept.append(name.removesuffix(".weight"))
                continue
            _refuse_odd(source, name, tensor)
            stored = as_stored(name.removesuffix("weight"), rounder(name, tensor), precision)
            before += tensor.nbytes
            after += sum(each.nbytes for each in stored.values())
            for part, value in stored.items():
                writer.add(part, value)
    return list(dict.fromkeys(kept)), before, after


def as_stored(prefix: str, rounded: Rounded, precision: Precision) -> dict[str, torch.Tensor]:
    """The tensors of a rounded weight under compressed-tensors' names."""
    if precision.format != "pack-quantized":
        return {f"{prefix}weight": rounded.values, f"{prefix}weight_scale": rounded.scale}
    return {
        f"{prefix}weight_packed": pack(rounded.values),
        f"{prefix}weight_scale": rounded.scale,
        f"{prefix}weight_shape": torch.tensor(rounded.values.shape),
    }


def refuse_rounded(source: Path) -> dict[str, Any]:
    """Its config.json. Raise ModelError where its weights are rounded already."""
    try:
        config: dict[str, Any] = json.loads((source / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"config.json cannot be read: {error}", where=source) from None
    if "quantization_config" in config:
        raise ModelError(
            "this model is quantized already", where=source, fix="quantize the model that it was made from"
        )
    return config


def _width(source: Path, name: str, file: str) -> int:
    from safetensors import safe_open

    with safe_open(source / file, framework="pt") as opened:
        shape: list[int] = opened.get_slice(name).get_shape()
    return shape[-1]


def _is_linear(name: str, tensor: torch.Tensor) -> bool:
    """Whether an engine would take this for a layer to read rounded, if it were not told otherwise."""
    return name.endswith(".weight") and tensor.ndim == 2 and "embed_tokens" not in name


def _refuse_odd(source: Path, name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype not in WHOLE or tensor.ndim != 2:
        raise ModelError(
            f"{name} is {tensor.dtype} of {tensor.ndim} dimensions, not a matrix of bfloat16, float16 or float32",
            where=source,
            fix="quantize the checkpoint as it was released, in Hugging Face layout",
        )
    if not torch.isfinite(tensor).all():
        raise ModelError(f"{name} holds values that are not numbers", where=source, fix="get the checkpoint anew")


def _copy_the_rest(source: Path, whole: Path) -> None:
    """Tokenizer, generation config, licence and so on."""
    weights = {*placed(source).values(), INDEX, "config.json"}
    files: Mapping[str, int] = regular_files(source, NOT_LISTED)
    for path in files:
        if path not in weights and not path.endswith((".safetensors", ".bin", ".pt", ".pth")):
            (whole / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, whole / path)
