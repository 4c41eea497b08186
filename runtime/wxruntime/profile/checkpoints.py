"""What a checkpoint's files say before an engine opens it: shape, quantization, weights for MTP."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wxruntime.checkpoint import CheckpointError, json_object
from wxruntime.profile.engines import tables
from wxruntime.profile.model import Precision
from wxruntime.sizing import Experts, Shape, ShapeError, shape_of

LONGEST_HEADER = 100 * 2**20  # safetensors' own limit


class ModelError(Exception):
    """A directory of which nothing can be said; the message names the file."""


@dataclass(frozen=True)
class Model:
    """A checkpoint, or, without `directory`, a model that is known by its name only.

    quantized: the precision of its linear weights, where they are quantized; format: its quant_method.
    exported: the precision of an ONNX export, which such a directory then is instead of weights.
    weights: names of its tensors; special: tokens of its tokenizer that are no text. None where the files do not tell.
    """

    shape: Shape
    directory: Path | None = None
    architecture: str = ""
    quantized: Precision | None = None
    format: str = ""
    exported: str = ""
    mtp_layers: int = 0
    weights: frozenset[str] | None = None
    special: frozenset[str] | None = None


def look(name: str) -> Model:
    """A model by its directory, or by a name of models.yaml. Raises ModelError."""
    directory = Path(name)
    if directory.is_dir():
        return _from(directory)
    for row in tables()["models"]["models"]:
        if name.casefold() in (row["name"], *(each.casefold() for each in row.get("also", ()))):
            experts = Experts(**row["experts"]) if "experts" in row else None
            return Model(Shape(**{**row, "experts": experts}))
    known = ", ".join(row["name"] for row in tables()["models"]["models"])
    raise ModelError(f"there is no directory {name}, and no model of that name is known ({known})")


def _from(directory: Path) -> Model:
    path = directory / "config.json"
    config = _object(path)
    try:
        shape = shape_of(config, directory.name, str(path))
    except ShapeError as error:
        raise ModelError(f"{path}: {error}") from None
    quantization = config.get("quantization_config") or {}
    architectures = config.get("architectures") or [""]
    return Model(
        shape,
        directory,
        str(architectures[0]),
        _quantized(quantization),
        str(quantization.get("quant_method") or ""),
        str((config.get("wxruntime_onnx") or {}).get("precision") or ""),
        int(config.get("num_nextn_predict_layers") or 0),
        _weights(directory),
        _special(directory),
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        return json_object(path)
    except CheckpointError as error:
        raise ModelError(str(error)) from None


def _quantized(raw: Mapping[str, Any]) -> Precision | None:
    """The precision of the weights. Each tool has names of its own: bits, w_bit, config_groups, load_in_4bit."""
    if not raw:
        return None
    groups = raw.get("config_groups") or {}
    weights = next((group.get("weights") or {} for group in groups.values() if isinstance(group, dict)), {})
    bits = weights.get("num_bits") or raw.get("bits") or raw.get("w_bit") or (4 if raw.get("load_in_4bit") else None)
    kind = str(weights.get("type") or raw.get("quant_method") or "")
    if kind in ("float", "fp8", "fbgemm_fp8") and (bits or 8) == 8:
        return "fp8"
    told = str(raw.get("quant_type") or "").casefold()
    if bits == 4 or "int4" in told:
        return "int4"
    if bits == 8 or "int8" in told or raw.get("load_in_8bit"):
        return "int8"
    return "fp8" if "float8" in told else None


def _special(directory: Path) -> frozenset[str] | None:
    """Tokens like <think>: added to the vocabulary, or in it from the beginning."""
    tokenizer = directory / "tokenizer.json"
    if not tokenizer.is_file():
        return None
    raw = _object(tokenizer)
    added = {str(each.get("content")) for each in raw.get("added_tokens") or [] if isinstance(each, dict)}
    vocabulary = (raw.get("model") or {}).get("vocab") or {}
    names = vocabulary if isinstance(vocabulary, dict) else (each[0] for each in vocabulary)
    return frozenset(added | {name for name in names if name.startswith("<") and name.endswith(">")})


def _weights(directory: Path) -> frozenset[str] | None:
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        return frozenset(_object(index).get("weight_map") or {})
    single = directory / "model.safetensors"
    return frozenset(_header(single)) if single.is_file() else None


def _header(shard: Path) -> dict[str, Any]:
    """A safetensors file's header: eight bytes with its length, and JSON."""
    try:
        with shard.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header: dict[str, Any] = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{shard} is no safetensors file: {error}") from None
    return header
