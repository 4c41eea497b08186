"""How much memory a model takes and how it can be split, from its shape alone: pure arithmetic on the standard library.

`wxruntime check` needs it inside an image, `wxops audit --for` on a controller without wxruntime. So there is one file,
here, and wxops/audit/sizing.py is a link to it, which a wheel resolves: neither package asks for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GIB = 2**30

# Bytes of a weight: vLLM docs/features/quantization (the head stays unquantized); int4 with groups of 128, each with a
# 16-bit scale and zero. Embeddings, head and norms keep 16 bits in every precision but fp32.
BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.53125}


class ShapeError(ValueError):
    """A config.json from which no size follows; the message names the key."""


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

    def weights(self, precision: str) -> int:
        """Bytes of all weights. precision: a key of BYTES."""
        kept = 4 if precision == "fp32" else 2
        return int(kept * self.sixteen_bit + BYTES[precision] * self.linear)

    @property
    def kv_per_token(self) -> int:
        """Bytes of keys and values of one token, kept in 16 bits, whatever the weights are in."""
        return self.kv_bytes(2)

    def kv_bytes(self, each: int) -> int:
        """Bytes of one token's keys and values, each number in so many bytes."""
        return 2 * self.layers * self.kv_heads * self.head_dim * each

    def splits_over(self, gpus: int) -> bool:
        """Whether tensor parallelism can: heads are shared out evenly; key-value heads, too, or each is repeated."""
        even = self.kv_heads % gpus == 0 or gpus % self.kv_heads == 0
        return self.heads % gpus == 0 and even

    def kv_share(self, gpus: int) -> float:
        """Which part of the KV cache each GPU keeps; repeated heads make it no smaller."""
        return 1 / min(gpus, self.kv_heads)


@dataclass(frozen=True)
class Memory:
    """Bytes on each of some GPUs. free: what the engine takes of a GPU, without its own overhead."""

    gpus: int
    weights: float
    kv: float
    free: float

    @property
    def fits(self) -> bool:
        return self.weights + self.kv <= self.free


def on_each(
    shape: Shape, precision: str, tokens: int, *, tensor: int, free: float, stages: int = 1, kv_bytes: int = 2
) -> Memory:
    """What a replica takes of each of its GPUs: `tensor` of them share a layer, `stages` groups share the layers.

    tokens: of KV cache, over all sequences. free: bytes of a GPU that weights and KV cache may take. Where the layers
    are not shared out evenly, it is the GPU with the most of them.
    """
    layers = -(-shape.layers // stages) / shape.layers
    weights = shape.weights(precision) * layers / tensor
    kv = shape.kv_bytes(kv_bytes) * tokens * layers * shape.kv_share(tensor)
    return Memory(tensor * stages, weights, kv, free)


def shape_of(config: Mapping[str, Any], name: str, source: str = "") -> Shape:
    """The shape in a config.json as transformers writes it. Raises ShapeError with the key that is missing or wrong."""
    try:
        heads = _positive(config, "num_attention_heads")
        return Shape(
            name=name,
            family=str(config["model_type"]),
            source=source,
            vocab_size=_positive(config, "vocab_size"),
            hidden_size=_positive(config, "hidden_size"),
            layers=_positive(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=_positive(config, "num_key_value_heads", heads),
            head_dim=_positive(config, "head_dim", config["hidden_size"] // heads),
            intermediate_size=_positive(config, "intermediate_size"),
            tied_embeddings=bool(config.get("tie_word_embeddings", False)),
            max_context=_positive(config, "max_position_embeddings"),
            experts=_experts(config),
        )
    except KeyError as error:
        raise ShapeError(f"{error.args[0]!r} is not there") from None
    except (TypeError, ValueError) as error:
        raise ShapeError(f"has a value that is none: {error}") from None


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
