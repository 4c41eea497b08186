"""What a checkpoint directory holds, found out before a weight is loaded: a wrong one is refused in one sentence."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from wxruntime.models.errors import ModelError
from wxruntime.models.verify import Trust, require

# transformers' model_type of what is served, and the family's name that an operator knows.
SERVED = {"ernie4_5": "ERNIE 4.5 dense", "ernie4_5_moe": "ERNIE 4.5 mixture of experts"}

# Weights as transformers and vLLM load them, or the graph that `wxruntime model export --onnx` makes of them.
Weights = Literal["safetensors", "onnx"]


class CheckpointError(Exception):
    """The directory cannot be served; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory in Hugging Face layout whose configuration and shard headers have been read.

    context_length: most tokens of prompt and answer together.
    stop_tokens:    ids that end an answer.
    temperature, top_p: the sampling that the checkpoint's makers chose, for requests that do not say; 0 is greedy.
    """

    directory: Path
    model_type: str
    context_length: int
    vocab_size: int
    stop_tokens: frozenset[int]
    temperature: float
    top_p: float


def read_checkpoint(
    directory: Path,
    trust: Trust = Trust(),  # noqa: B008, it cannot change
    weights: Weights = "safetensors",
) -> Checkpoint:
    """Raise CheckpointError unless `directory` is a whole ERNIE 4.5 checkpoint with such weights.

    Where it has a manifest, every file must be as that says; `trust` may demand more.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a directory")
    try:
        require(directory, trust)
    except ModelError as error:
        raise CheckpointError(str(error)) from error
    return look_into(directory, weights)


def look_into(directory: Path, weights: Weights = "safetensors") -> Checkpoint:
    """As read_checkpoint, whatever a manifest says. Raise CheckpointError."""
    config = json_object(directory / "config.json")
    model_type = config.get("model_type")
    if model_type not in SERVED:
        known = ", ".join(SERVED)
        raise CheckpointError(f"{directory}/config.json has model_type {model_type!r}; served here: {known}")
    if weights == "onnx":
        _check_graph(directory)
    else:
        _check_weights(directory)
    if not (directory / "tokenizer.json").is_file() and not (directory / "tokenizer.model").is_file():
        raise CheckpointError(f"{directory} has neither tokenizer.json nor tokenizer.model")
    generation = directory / "generation_config.json"
    defaults = json_object(generation) if generation.is_file() else {}
    greedy = defaults.get("do_sample") is False
    return Checkpoint(
        directory=directory,
        model_type=model_type,
        context_length=_whole_number(config, "max_position_embeddings", directory),
        vocab_size=_whole_number(config, "vocab_size", directory),
        stop_tokens=_ids(config, directory / "config.json") | _ids(defaults, generation),
        temperature=0.0 if greedy else _temperature(defaults, generation),
        top_p=_top_p(defaults, generation),
    )


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint; CheckpointError where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: it is not a checkpoint directory") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return value


def _whole_number(config: dict[str, Any], key: str, directory: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{directory}/config.json: {key} is {value!r}, not a positive whole number")
    return value


def _temperature(defaults: dict[str, Any], path: Path) -> float:
    value = defaults.get("temperature", 1.0)
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise CheckpointError(f"{path}: temperature is {value!r}, not a number from 0 on")
    return float(value)


def _top_p(defaults: dict[str, Any], path: Path) -> float:
    value = defaults.get("top_p", 1.0)
    if not isinstance(value, int | float) or not 0 < value <= 1:
        raise CheckpointError(f"{path}: top_p is {value!r}, not a number above 0 and up to 1")
    return float(value)


def _ids(values: dict[str, Any], path: Path) -> frozenset[int]:
    """`eos_token_id` is one id, several or absent."""
    value = values.get("eos_token_id")
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(id_, int) for id_ in ids):
        raise CheckpointError(f"{path}: eos_token_id is {value!r}, not a token's number or a list of them")
    return frozenset(ids)


def tensor_names(directory: Path) -> set[str]:
    """The weights in the shards of a directory that read_checkpoint has found whole."""
    index = directory / "model.safetensors.index.json"
    return set(json_object(index)["weight_map"]) if index.is_file() else _tensors(directory / "model.safetensors")


def _check_graph(directory: Path) -> None:
    for name in ("model.onnx", "genai_config.json"):
        if not (directory / name).is_file():
            raise CheckpointError(
                f"{directory} has no {name}: export a checkpoint for the ONNX engine with "
                "`wxruntime model export CHECKPOINT DIRECTORY --onnx --precision int4`"
            )


def _check_weights(directory: Path) -> None:
    """Every shard is there, as long as its header says, and holds the tensors that the index places in it."""
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        single = directory / "model.safetensors"
        if not single.is_file():
            if (directory / "model.onnx").is_file():
                raise CheckpointError(f"{directory} is an export for a CPU: serve it with --backend onnx")
            raise CheckpointError(f"{directory} has no model.safetensors (other weight formats are not loaded)")
        _tensors(single)
        return
    placed: dict[str, set[str]] = {}
    weight_map = json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map, which says in which file each weight is")
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise CheckpointError(f"{index} names {shard!r}, which is no file of this directory")
        placed.setdefault(shard, set()).add(tensor)
    for shard, expected in sorted(placed.items()):
        absent = expected - _tensors(directory / shard)
        if absent:
            raise CheckpointError(f"{directory / shard} lacks {min(absent)}, which {index.name} places there")


def _tensors(shard: Path) -> set[str]:
    """The names in a shard's header. Opening it checks the header and the file's length, not the weights."""
    try:
        with safe_open(shard, framework="np") as opened:
            return set(opened.keys())
    except FileNotFoundError:
        raise CheckpointError(f"{shard} is missing") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{shard} is damaged: {error}") from None
