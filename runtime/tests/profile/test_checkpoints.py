"""What a checkpoint's files say of it, as the tools write them that quantize."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from profile_case import write_model

from wxruntime.profile.checkpoints import ModelError, look


def compressed(bits: int, kind: str) -> dict[str, Any]:
    groups = {"group_0": {"weights": {"num_bits": bits, "type": kind}}}
    return {"quant_method": "compressed-tensors", "config_groups": groups}


@pytest.mark.parametrize(
    ("quantization", "precision"),
    [
        (compressed(8, "float"), "fp8"),
        (compressed(8, "int"), "int8"),
        (compressed(4, "int"), "int4"),
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "torchao", "quant_type": "int4_weight_only"}, "int4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "mystery"}, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_precision_of_a_quantized_checkpoint(quantization: dict[str, Any], precision: str, tmp_path: Path) -> None:
    model = look(str(write_model(tmp_path, {"quantization_config": quantization}, [])))
    assert (model.quantized, model.format) == (precision, quantization["quant_method"])


def test_a_model_is_known_by_its_name_in_any_case() -> None:
    assert look("baidu/ERNIE-4.5-21B-A3B-Thinking").shape.name == "ernie-4.5-21b-a3b"


def test_tokens_count_wherever_the_tokenizer_has_them(tmp_path: Path) -> None:
    directory = write_model(tmp_path, {}, [])
    tokenizer = {"added_tokens": [{"content": "<a>"}], "model": {"vocab": {"<think>": 7, "word": 8}}}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert look(str(directory)).special == {"<a>", "<think>"}


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", b"{", "cannot be read"),
        ("config.json", b"[]", "is not a JSON object"),
        ("config.json", b'{"model_type": "ernie4_5"}', "'num_attention_heads' is not there"),
        ("model.safetensors", b"\xff" * 8, "is no safetensors file"),
        ("model.safetensors", b"", "is no safetensors file"),
    ],
)
def test_a_file_of_which_nothing_can_be_said_is_named(
    file: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    directory = write_model(tmp_path, {}, [])
    (directory / file).unlink() if content is None else (directory / file).write_bytes(content)
    with pytest.raises(ModelError, match=says) as refused:
        look(str(directory))
    assert file in str(refused.value)
