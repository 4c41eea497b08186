"""The models that are measured, and the time that a card's measured rates allow for a workload at best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BASE: dict[str, Any] = {
    "architectures": ["Ernie4_5ForCausalLM"],
    "model_type": "ernie4_5",
    "vocab_size": 103424,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "use_bias": False,
    "tie_word_embeddings": True,
    "max_position_embeddings": 131072,
    "head_dim": 128,
    "torch_dtype": "bfloat16",
    "rope_theta": 500000.0,
    "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"},
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# s is ERNIE-4.5-0.3B's exact shape, m a dense ERNIE of the 7B class, e ERNIE-4.5-21B-A3B's exact shape.
SHAPES: dict[str, dict[str, Any]] = {
    "s": BASE
    | {
        "hidden_size": 1024,
        "num_hidden_layers": 18,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "intermediate_size": 3072,
    },
    "m": BASE
    | {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
    },
    "e": BASE
    | {
        "architectures": ["Ernie4_5_MoeForCausalLM"],
        "model_type": "ernie4_5_moe",
        "hidden_size": 2560,
        "num_hidden_layers": 28,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "intermediate_size": 12288,
        "moe_intermediate_size": 1536,
        "moe_num_experts": 64,
        "moe_num_shared_experts": 2,
        "moe_k": 6,
        "moe_layer_start_index": 1,
        "moe_layer_end_index": 27,
        "moe_layer_interval": 1,
        "moe_norm_min": 1e-12,
    },
}
CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class Rates:
    """Of the card, measured in the same run: bytes read a second, floating-point operations a second."""

    read: float
    bf16: float
    fp8: float


def options(name: str) -> dict[str, Any]:
    """For transformers' Ernie4_5Config."""
    given = ("architectures", "model_type", "torch_dtype", "rope_theta")
    return {key: value for key, value in SHAPES[name].items() if key not in given}


def tensors(name: str) -> dict[str, tuple[int, ...]]:
    """Every weight's shape by transformers' name; the head is the embedding."""
    shape = SHAPES[name]
    hidden, width, inner = shape["hidden_size"], shape["head_dim"], shape["intermediate_size"]
    queries, keys = shape["num_attention_heads"] * width, shape["num_key_value_heads"] * width
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape["vocab_size"], hidden)}
    for layer in range(shape["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        found |= {
            f"{at}.input_layernorm.weight": (hidden,),
            f"{at}.self_attn.q_proj.weight": (queries, hidden),
            f"{at}.self_attn.k_proj.weight": (keys, hidden),
            f"{at}.self_attn.v_proj.weight": (keys, hidden),
            f"{at}.self_attn.o_proj.weight": (hidden, queries),
            f"{at}.post_attention_layernorm.weight": (hidden,),
        }
        if layer < shape.get("moe_layer_start_index", shape["num_hidden_layers"]):
            found |= product(f"{at}.mlp", hidden, inner)
            continue
        experts, small = shape["moe_num_experts"], shape["moe_intermediate_size"]
        found[f"{at}.mlp.gate.weight"] = (experts, hidden)
        found[f"{at}.mlp.moe_statics.e_score_correction_bias"] = (1, experts)
        found |= product(f"{at}.mlp.shared_experts", hidden, shape["moe_num_shared_experts"] * small)
        for expert in range(experts):
            found |= product(f"{at}.mlp.experts.{expert}", hidden, small)
    return found | {"model.norm.weight": (hidden,)}


def product(at: str, hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    """The three weights of a gated product."""
    return {
        f"{at}.gate_proj.weight": (inner, hidden),
        f"{at}.up_proj.weight": (inner, hidden),
        f"{at}.down_proj.weight": (hidden, inner),
    }


def roofline_s(name: str, fp8: bool, rates: Rates, batch: int, prompt: int, made: int) -> float:
    """Seconds at best: prompts at the matrix rate; a step as long as its bytes or its operations take, the longer.

    Bytes of a step: every weight once (the head in 16 bits), and the keys and values of what came before.
    Attention's own operations are not counted."""
    shape = SHAPES[name]
    head = shape["vocab_size"] * shape["hidden_size"]
    layers = sum(size[0] * size[1] for size in tensors(name).values() if len(size) == 2) - head
    rate = rates.fp8 if fp8 else rates.bf16
    slot = 4 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"]
    reading = 2 * layers * batch * prompt / rate
    weights = layers * (1 if fp8 else 2) + head * 2
    moved = (weights + batch * slot * (prompt + made / 2)) / rates.read
    counted = 2 * layers * batch / rate + 2 * head * batch / rates.bf16
    return float(reading + (made - 1) * max(moved, counted))
