"""Whether a model fits: its sizes are those that were counted elsewhere, and the least cards are those that engines'
makers publish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wxops.audit.demand import Demand, Engine, Precision
from wxops.audit.fit import enough, fit, instead
from wxops.audit.shapes import shape
from wxops.errors import InputError

GIB = 2**30


@pytest.mark.parametrize(
    ("model", "billions", "kv_per_token"),
    [("ernie-4.5-0.3b", 0.3607, 18_432), ("ernie-4.5-21b-a3b", 21.83, 57_344), ("ernie-4.5-300b-a47b", 299.5, 221_184)],
)
def test_sizes_are_those_of_the_checkpoints(model: str, billions: float, kv_per_token: int) -> None:
    assert shape(model).parameters / 1e9 == pytest.approx(billions, rel=1e-3)
    assert shape(model).kv_per_token == kv_per_token


def test_weights_in_16_bits_are_two_bytes_a_parameter() -> None:
    assert shape("ernie-4.5-0.3b").weights("bf16") / 2**20 == pytest.approx(688, abs=1)
    assert shape("ernie-4.5-21b-a3b").weights("bf16") / GIB == pytest.approx(40.7, abs=0.1)


# FastDeploy's best practices and vLLM's recipe: the least number of cards, with the context that they name or 8,192.
@pytest.mark.parametrize(
    ("model", "engine", "precision", "card_gib", "cards"),
    [
        ("ernie-4.5-0.3b", "fastdeploy", "bf16", 24, 1),
        ("ernie-4.5-21b-a3b", "fastdeploy", "int8", 24, 2),
        ("ernie-4.5-21b-a3b", "fastdeploy", "int4", 24, 1),
        ("ernie-4.5-21b-a3b", "vllm", "bf16", 80, 1),
        ("ernie-4.5-300b-a47b", "fastdeploy", "int8", 80, 8),
        ("ernie-4.5-300b-a47b", "fastdeploy", "int4", 80, 4),
        ("ernie-4.5-300b-a47b", "vllm", "fp8", 80, 8),
        ("ernie-4.5-300b-a47b", "vllm", "bf16", 80, 16),
    ],
)
def test_the_least_cards_are_those_that_the_engines_publish(
    model: str, engine: Engine, precision: Precision, card_gib: int, cards: int
) -> None:
    assert enough(Demand(model, engine, precision), card_gib * GIB) == cards


def test_a_model_is_split_only_where_its_heads_can_be() -> None:
    assert [n for n in range(1, 17) if shape("ernie-4.5-21b-a3b").splits_over(n)] == [1, 2, 4]
    assert [n for n in range(1, 17) if shape("ernie-4.5-0.3b").splits_over(n)] == [1, 2, 4, 8, 16]


def test_key_value_heads_that_are_repeated_make_the_cache_no_smaller() -> None:
    tried = fit(Demand("ernie-4.5-0.3b"), 80 * GIB, 8).tried
    assert [round(memory.kv / tried[0].kv, 3) for memory in tried] == [1.0, 0.5, 0.5, 0.5]


def test_what_would_fit_instead_is_the_nearest_thing() -> None:
    big = Demand("ernie-4.5-300b-a47b")
    assert instead(big, 80 * GIB, 8, ("bf16", "fp8")) == "serve it in fp8, over 8 GPUs"
    assert instead(Demand("ernie-4.5-21b-a3b", gpus=1), 48 * GIB, 2, ("bf16",)) == "serve it over 2 GPUs"
    long = Demand("ernie-4.5-0.3b", context=131072, sequences=64)
    assert instead(long, 24 * GIB, 1, ("bf16",)) == "serve 8 sequences of 131072 tokens at once, over 1 GPU"
    assert instead(big, 16 * GIB, 1, ("int4",)) == ""


def test_a_directory_with_a_configuration_is_a_model(tmp_path: Path) -> None:
    raw = {
        "model_type": "ernie4_5_moe", "vocab_size": 103424, "hidden_size": 2560, "num_hidden_layers": 28,
        "num_attention_heads": 20, "num_key_value_heads": 4, "intermediate_size": 12288, "tie_word_embeddings": True,
        "max_position_embeddings": 131072, "moe_num_experts": 64, "moe_k": 6, "moe_num_shared_experts": 2,
        "moe_intermediate_size": 1536, "moe_layer_start_index": 1,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    assert shape(str(tmp_path)).parameters == shape("ernie-4.5-21b-a3b").parameters
    assert shape(str(tmp_path)).kv_per_token == 57_344


def test_a_configuration_without_a_key_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "num_attention_heads": 32}', encoding="utf-8")
    with pytest.raises(InputError, match="'vocab_size' is not there"):
        shape(str(tmp_path))
