"""A quantized checkpoint is smaller, near the original, readable by compressed-tensors; written whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from wxruntime.backends.weights import load_weights
from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.models.dequantize import whole_weights
from wxruntime.models.errors import ModelError
from wxruntime.models.loading import load_model
from wxruntime.models.precision import PRECISIONS
from wxruntime.models.quantize import ROUNDED, quantize
from wxruntime.models.shards import INDEX, placed, tensors
from wxruntime.models.verify import Trust, require
from wxruntime.paged.weights import read_weights
from wxruntime.tiny import Recipe, make_checkpoint

NEAR = {"fp8": 0.05, "int8": 0.02, "int4": 0.2}  # largest error of a logit, as a part of their spread
KINDS = ("dense", "moe")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dense, moe, and dense-fp8 ... moe-int4."""
    at = tmp_path_factory.mktemp("quantized")
    for kind in KINDS:
        make_checkpoint(at / kind, Recipe(moe=kind == "moe", taught=False))
        for name, precision in PRECISIONS.items():
            quantize(at / kind, at / f"{kind}-{name}", precision)
    return at


def logits(directory: Path) -> torch.Tensor:
    with torch.inference_mode():
        return load_model(directory, torch.float32)(torch.arange(6, 70)[None]).logits


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_near_the_originals(models: Path, kind: str, precision: str) -> None:
    whole, rounded = logits(models / kind), logits(models / f"{kind}-{precision}")
    assert 0 < (rounded - whole).abs().mean() / whole.std() < NEAR[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_only_weights_of_attention_and_mlps_are_changed(models: Path, kind: str, precision: str) -> None:
    before = dict(tensors(models / kind))
    after = dict(whole_weights(models / f"{kind}-{precision}", torch.bfloat16))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ROUNDED.fullmatch(name)}
    assert len([name for name in changed if "experts.3." in name]) == (0 if kind == "dense" else 3)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_library_compressed_tensors_reads_the_same_weights(models: Path, precision: str) -> None:
    directory = models / f"dense-{precision}"
    settings = json.loads((directory / "config.json").read_text())["quantization_config"]
    config = QuantizationConfig.model_validate(settings)
    scheme = config.config_groups["group_0"]
    stored, ours = dict(tensors(directory)), dict(whole_weights(directory, torch.bfloat16))
    for name in filter(ROUNDED.fullmatch, ours):
        prefix = name.removesuffix("weight")
        parts = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
        theirs = BaseCompressor.get_value_from_registry(config.format).decompress(parts, scheme)
        torch.testing.assert_close(theirs["weight"].to(torch.bfloat16), ours[name], rtol=0.005, atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_transformers_own_quantizer_loads_it(models: Path, precision: str) -> None:
    directory = models / f"dense-{precision}"
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.inference_mode():
        ours, far = logits(directory), theirs(torch.arange(6, 70)[None]).logits
    assert (ours - far).abs().mean() / ours.std() < 0.05  # theirs rounds activations, too


def test_the_sizes_are_those_of_the_precision(models: Path, tmp_path: Path) -> None:
    sizes = quantize(models / "dense", tmp_path / "int4", PRECISIONS["int4"])
    assert sizes.rounded_after / sizes.rounded_before == pytest.approx((0.5 + 2 / 32) / 2, rel=0.05)
    assert sizes.files_after == (tmp_path / "int4" / "model.safetensors").stat().st_size < sizes.files_before


def test_shards_are_written_as_they_fill_and_read_by_their_index(models: Path, tmp_path: Path) -> None:
    quantize(models / "moe", tmp_path / "sharded", PRECISIONS["fp8"], shard_bytes=50_000)
    assert (tmp_path / "sharded" / INDEX).is_file() and len(set(placed(tmp_path / "sharded").values())) > 3
    whole, parts = (dict(tensors(at)) for at in (models / "moe-fp8", tmp_path / "sharded"))
    assert all(torch.equal(whole[name].float(), parts[name].float()) for name in whole) and whole.keys() == parts.keys()
    read_checkpoint(tmp_path / "sharded")


def test_the_result_has_a_manifest_that_names_what_it_was_made_from(models: Path) -> None:
    manifest = require(models / "dense-int4", Trust())
    assert manifest is not None and manifest.origin == {"scheme": "int4", "from": "dense", "manifest": ""}
    assert "tokenizer.json" in manifest.files


def test_what_exists_is_not_overwritten_and_what_is_quantized_is_not_again(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there already"):
        quantize(models / "dense", models / "moe", PRECISIONS["fp8"])
    with pytest.raises(ModelError, match="quantized already"):
        quantize(models / "dense-fp8", tmp_path / "twice", PRECISIONS["fp8"])
    with pytest.raises(CheckpointError, match="not a directory"):
        quantize(tmp_path / "nowhere", tmp_path / "new", PRECISIONS["fp8"])
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_numbers_are_refused_and_leave_nothing(models: Path, tmp_path: Path) -> None:
    poisoned = Path(shutil.copytree(models / "dense", tmp_path / "poisoned"))
    weights = load_file(poisoned / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = torch.nan
    save_file(weights, poisoned / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight holds values that are not numbers"):
        quantize(poisoned, tmp_path / "new", PRECISIONS["int8"])
    assert [file.name for file in tmp_path.iterdir()] == ["poisoned"]


def test_rows_that_no_group_divides_are_refused_with_what_would_do(models: Path, tmp_path: Path) -> None:
    odd = Path(shutil.copytree(models / "dense", tmp_path / "odd"))
    weights = load_file(odd / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] = torch.zeros(64, 40)
    save_file(weights, odd / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has rows of 40 weights") as refused:
        quantize(odd, tmp_path / "new", PRECISIONS["int4"])
    assert "--fp8 or --int8" in str(refused.value)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_paged_backend_reads_it_as_what_it_stands_for(models: Path, precision: str) -> None:
    directory = models / f"dense-{precision}"
    config = AutoConfig.from_pretrained(directory)
    read = read_weights(directory, config, torch.device("cpu"), torch.float32, fp8=False).layers[1].down
    held = read.weight.float() * (1 if read.scale is None else read.scale[:, None])
    assert torch.equal(held, dict(whole_weights(directory, torch.float32))["model.layers.1.mlp.down_proj.weight"])


def test_the_transformers_backend_loads_a_quantized_checkpoint(models: Path) -> None:
    loaded = load_weights(read_checkpoint(models / "dense-int4"), torch.float32, "sdpa")
    with torch.inference_mode():
        assert torch.equal(loaded(torch.arange(6, 70)[None]).logits, logits(models / "dense-int4"))
