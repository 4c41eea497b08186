"""An export is a whole model directory or none, and what cannot be exported is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from wxruntime.backends.onnx_export import export_onnx
from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.models.manifest import read_manifest
from wxruntime.tiny import Recipe, make_checkpoint


def edited(checkpoint: Path, tmp_path: Path, **config: Any) -> Path:
    copy = shutil.copytree(checkpoint, tmp_path / "edited")
    whole = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(whole | config))
    return copy


def test_tokenizer_template_and_settings_travel_unchanged(tiny: Path, tiny_int4: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tiny_int4 / name).read_bytes() == (tiny / name).read_bytes()
    before, after = read_checkpoint(tiny), read_checkpoint(tiny_int4, weights="onnx")
    assert (before.context_length, before.stop_tokens) == (after.context_length, after.stop_tokens)


def test_the_manifest_says_where_it_came_from(tiny_int4: Path) -> None:
    manifest = read_manifest(tiny_int4)
    assert manifest is not None
    assert manifest.origin == {"scheme": "onnx-int4", "from": "tiny"}


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "batch.onnx.data", "tokenizer.json"])
def test_one_flipped_bit_is_found_before_anything_is_loaded(tiny_int4: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(tiny_int4, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: is damaged"):
        read_checkpoint(copy, weights="onnx")


def test_a_directory_without_a_graph_is_refused_with_the_command_that_makes_one(tiny: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model\.onnx: export a checkpoint .*--onnx"):
        read_checkpoint(tiny, weights="onnx")


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "moe", Recipe(moe=True, taught=False))
    with pytest.raises(CheckpointError, match=r"is a mixture of experts: .* dense"):
        export_onnx(tmp_path / "moe", tmp_path / "out", "int4")


def test_a_quantized_checkpoint_is_refused(tiny: Path, tmp_path: Path) -> None:
    quantized = edited(tiny, tmp_path, quantization_config={"quant_method": "compressed-tensors"})
    with pytest.raises(CheckpointError, match=r"quantized already \(compressed-tensors\)"):
        export_onnx(quantized, tmp_path / "out", "int4")


def test_a_weight_that_is_not_there_is_named(tiny: Path, tmp_path: Path) -> None:
    copy = edited(tiny, tmp_path)
    weights = load_file_without("model.norm.weight", copy / "model.safetensors")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks the weight model\.norm\.weight"):
        export_onnx(copy, tmp_path / "out", "int4")


def test_nothing_is_overwritten(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="already there"):
        export_onnx(tiny, tmp_path / "out", "int4")


def test_a_builder_that_fails_leaves_nothing_and_its_words_are_told(tiny: Path, tmp_path: Path) -> None:
    wrong = edited(tiny, tmp_path, hidden_act="no_such_function")
    with pytest.raises(CheckpointError, match=r"builder failed \(exit 1\)(.|\n)*no_such_function"):
        export_onnx(wrong, tmp_path / "models" / "out", "int4")
    assert list((tmp_path / "models").iterdir()) == []


def load_file_without(name: str, file: Path) -> dict[str, Any]:
    weights = load_file(file)
    del weights[name]
    return weights
