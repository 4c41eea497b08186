"""Models and engines of models.yaml, and what follows from a model's shape: weights, KV cache, how it can be split."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wxops.audit.demand import Precision
from wxops.audit.tables import convert
from wxops.audit.versions import Version
from wxops.errors import InputError, nearest

FILE = Path(__file__).parent / "models.yaml"
KV_BYTES = 2  # keys and values are kept in 16 bits, whatever the weights are in


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts. dense_layers: the layers at the beginning that have an ordinary MLP instead."""

    count: int
    active: int
    intermediate_size: int
    shared: int = 0
    dense_layers: int = 0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder of the Llama kind: grouped-query attention, SwiGLU, RMS norms, no biases."""

    name: str
    family: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    tied_embeddings: bool
    max_context: int
    source: str = ""
    also: tuple[str, ...] = ()
    experts: Experts | None = None

    @property
    def sixteen_bit(self) -> int:
        """Parameters that are never quantized: embeddings, head, norms, routers."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)
        experts = self.experts
        routers = (self.layers - experts.dense_layers) * experts.count * (self.hidden_size + 1) if experts else 0
        return embeddings + routers + (2 * self.layers + 1) * self.hidden_size

    @property
    def linear(self) -> int:
        """Parameters of attention and MLPs."""
        attention = 2 * self.hidden_size * self.head_dim * (self.heads + self.kv_heads)
        mlp = 3 * self.hidden_size * self.intermediate_size
        if self.experts is None:
            return self.layers * (attention + mlp)
        each = 3 * self.hidden_size * self.experts.intermediate_size
        sparse = self.layers - self.experts.dense_layers
        experts = sparse * (self.experts.count + self.experts.shared) * each
        return self.layers * attention + self.experts.dense_layers * mlp + experts

    @property
    def parameters(self) -> int:
        return self.sixteen_bit + self.linear

    def weights(self, precision: Precision) -> int:
        """Bytes of all weights."""
        return int(2 * self.sixteen_bit + catalogue().bytes_of[precision] * self.linear)

    @property
    def kv_per_token(self) -> int:
        """Bytes of keys and values of one token."""
        return 2 * self.layers * self.kv_heads * self.head_dim * KV_BYTES

    def splits_over(self, gpus: int) -> bool:
        """Whether tensor parallelism can: heads are shared out evenly; key-value heads, too, or each is repeated."""
        even = self.kv_heads % gpus == 0 or gpus % self.kv_heads == 0
        return self.heads % gpus == 0 and even

    def kv_share(self, gpus: int) -> float:
        """Which part of the KV cache each GPU keeps; repeated heads make it no smaller."""
        return 1 / min(gpus, self.kv_heads)


@dataclass(frozen=True, kw_only=True)
class PrecisionNeed:
    """A precision that an engine has. feature: what the GPU must have for it; or_else: with this it goes slower."""

    precision: Precision
    feature: str = ""
    or_else: str = ""


@dataclass(frozen=True, kw_only=True)
class EngineNeed:
    """What an engine runs on. cc: just these compute capabilities; families: of models that it is known to serve."""

    name: str
    source: str
    families: tuple[str, ...]
    memory_fraction: float
    beside_gib: float
    splits: bool
    precisions: tuple[PrecisionNeed, ...]
    min_cc: Version | None = None
    cc: tuple[Version, ...] = ()

    def runs_on(self, cc: Version) -> bool:
        return (self.min_cc is None or cc >= self.min_cc) and (not self.cc or cc in self.cc)

    def needs(self, precision: str) -> PrecisionNeed | None:
        return next((each for each in self.precisions if each.precision == precision), None)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What models.yaml holds. bytes_of: of a weight, by precision."""

    models: tuple[Shape, ...]
    engines: tuple[EngineNeed, ...]
    bytes_of: dict[Precision, float]

    def engine(self, name: str) -> EngineNeed:
        """Raises InputError for an engine that there is not."""
        for each in self.engines:
            if each.name == name:
                return each
        raise InputError(f"there is no engine {name!r}", fix=nearest(name, [each.name for each in self.engines]))


@functools.cache
def catalogue() -> Catalogue:
    raw = yaml.load(FILE.read_text(encoding="utf-8"), yaml.CSafeLoader)
    values = {"models": raw["models"], "engines": raw["engines"], "bytes_of": raw["weights"]["bytes"]}
    return convert(values, Catalogue, FILE, {"bytes_of": "weights.bytes"})


@functools.cache
def shape(model: str) -> Shape:
    """A model by its name, or by a directory with a config.json. Raises InputError for one that there is not."""
    wanted = model.casefold()
    for each in catalogue().models:
        if wanted in (each.name, *(name.casefold() for name in each.also)):
            return each
    config = Path(model) / "config.json"
    if config.is_file():
        return from_config(_read(config), config)
    known = [each.name for each in catalogue().models]
    raise InputError(f"there is no model {model!r}, and no directory with a config.json", fix=nearest(wanted, known))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"it is no JSON: {error}", where=str(path), fix="take it from the checkpoint") from None
    if not isinstance(raw, dict):
        raise InputError("it is no JSON object", where=str(path), fix="take it from the checkpoint")
    return raw


def from_config(raw: Mapping[str, Any], path: Path) -> Shape:
    """The shape in a config.json as transformers writes it. Raises InputError with the key that is missing."""
    try:
        heads = _positive(raw, "num_attention_heads")
        return Shape(
            name=path.parent.name,
            family=str(raw["model_type"]),
            source=str(path),
            vocab_size=_positive(raw, "vocab_size"),
            hidden_size=_positive(raw, "hidden_size"),
            layers=_positive(raw, "num_hidden_layers"),
            heads=heads,
            kv_heads=_positive(raw, "num_key_value_heads", heads),
            head_dim=_positive(raw, "head_dim", raw["hidden_size"] // heads),
            intermediate_size=_positive(raw, "intermediate_size"),
            tied_embeddings=bool(raw.get("tie_word_embeddings", False)),
            max_context=_positive(raw, "max_position_embeddings"),
            experts=_experts(raw),
        )
    except KeyError as error:
        raise InputError(
            f"{error.args[0]!r} is not there", where=str(path), fix="take it from the checkpoint"
        ) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"has a value that is none: {error}", where=str(path)) from None


def _positive(raw: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A number from 1 on: anything else would make sizes that look like an answer."""
    value = raw[key] if default is None else raw.get(key) or default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} is {value!r}, not a number from 1 on")
    return value


def _experts(raw: Mapping[str, Any]) -> Experts | None:
    """ERNIE, Qwen and Mixtral each have names of their own."""
    count = raw.get("moe_num_experts") or raw.get("num_experts") or raw.get("num_local_experts")
    if not count:
        return None
    return Experts(
        count=int(count),
        active=int(raw.get("moe_k") or raw["num_experts_per_tok"]),
        intermediate_size=int(raw.get("moe_intermediate_size") or raw["intermediate_size"]),
        shared=int(raw.get("moe_num_shared_experts") or 0),
        dense_layers=int(raw.get("moe_layer_start_index") or 0),
    )
