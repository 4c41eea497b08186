"""A directory that cannot be served is refused with a sentence that names what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import run_wxruntime
from safetensors.torch import load_file, save_file

from wxruntime import backends
from wxruntime.backends.base import Load
from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.models.manifest import describe, write_manifest

INDEX = "model.safetensors.index.json"


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def configure(directory: Path, **values: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def sample(directory: Path, **values: object) -> None:
    (directory / "generation_config.json").write_text(json.dumps({"do_sample": True} | values))


def split_into_shards(directory: Path) -> None:
    """The layout of a checkpoint too large for one file."""
    tensors = load_file(directory / "model.safetensors")
    names = sorted(tensors)
    half = len(names) // 2
    shards = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, directory / shard, metadata={"format": "pt"})
    placed = {name: shard for shard, held in shards.items() for name in held}
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    (directory / "model.safetensors").unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def overwrite_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])


def lose_a_weight(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def poison_a_weight(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], torch.nan)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def test_a_tiny_checkpoint_is_read(tiny: Path) -> None:
    checkpoint = read_checkpoint(tiny)
    assert (checkpoint.model_type, checkpoint.context_length) == ("ernie4_5", 8192)
    assert checkpoint.stop_tokens == {2}
    assert checkpoint.temperature == 0, "generation_config.json says do_sample false"


def test_the_makers_sampling_is_the_default(copy: Path) -> None:
    sample(copy, temperature=0.8, top_p=0.9)
    checkpoint = read_checkpoint(copy)
    assert (checkpoint.temperature, checkpoint.top_p, checkpoint.stop_tokens) == (0.8, 0.9, {2})


def test_a_makers_temperature_of_0_is_greedy(copy: Path) -> None:
    sample(copy, temperature=0)
    assert read_checkpoint(copy).temperature == 0


def test_shards_are_read_by_their_index(copy: Path) -> None:
    split_into_shards(copy)
    backends.load("transformers", Load(copy, device="cpu")).prove()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda at: shutil.rmtree(at), "copy is not a directory"),
        (lambda at: (at / "config.json").unlink(), "no config.json: it is not a checkpoint directory"),
        (lambda at: (at / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda at: (at / "config.json").write_text("[]"), "config.json is not a JSON object"),
        (lambda at: configure(at, model_type="qwen3"), "model_type 'qwen3'; served here: ernie4_5, ernie4_5_moe"),
        (lambda at: configure(at, max_position_embeddings="long"), "max_position_embeddings is 'long'"),
        (lambda at: (at / "model.safetensors").rename(at / "pytorch_model.bin"), "no model.safetensors"),
        (lambda at: (at / "model.safetensors").rename(at / "model.onnx"), "serve it with --backend onnx"),
        (lambda at: cut(at / "model.safetensors"), "model.safetensors is damaged"),
        (lambda at: overwrite_header(at / "model.safetensors"), "model.safetensors is damaged"),
        (lambda at: (at / "tokenizer.json").unlink(), "neither tokenizer.json nor tokenizer.model"),
        (lambda at: configure(at, eos_token_id="</s>"), "config.json: eos_token_id is '</s>'"),
        (lambda at: sample(at, eos_token_id=[2, None]), "generation_config.json: eos_token_id is \\[2, None\\]"),
        (lambda at: sample(at, temperature="hot"), "generation_config.json: temperature is 'hot'"),
        (lambda at: sample(at, temperature=-1), "temperature is -1, not a number from 0 on"),
        (lambda at: sample(at, top_p=80), "top_p is 80, not a number above 0 and up to 1"),
    ],
)
def test_a_wrong_directory_is_refused_before_loading(copy: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(copy)
    with pytest.raises(CheckpointError, match=says):
        read_checkpoint(copy)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda at: (at / "model-00002-of-00002.safetensors").unlink(), "model-00002-of-00002.safetensors is missing"),
        (lambda at: cut(at / "model-00001-of-00002.safetensors"), "model-00001-of-00002.safetensors is damaged"),
        (
            lambda at: shutil.copy(at / "model-00001-of-00002.safetensors", at / "model-00002-of-00002.safetensors"),
            "model-00002-of-00002.safetensors lacks model.",
        ),
        (
            lambda at: (at / INDEX).write_text((at / INDEX).read_text().replace("model-00002", "../model-00002")),
            "names '../model-00002-of-00002.safetensors', which is no file of this directory",
        ),
        (lambda at: (at / INDEX).write_text('{"weight_map": {"a": 1}}'), "names 1, which is no file of this directory"),
        (lambda at: (at / INDEX).write_text('{"weight_map": []}'), "index.json has no weight_map"),
        (lambda at: (at / INDEX).write_text("{}"), "index.json has no weight_map"),
    ],
)
def test_a_damaged_shard_is_named(copy: Path, damage: Callable[[Path], object], says: str) -> None:
    split_into_shards(copy)
    damage(copy)
    with pytest.raises(CheckpointError, match=says):
        read_checkpoint(copy)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose_a_weight, "lacks the weight model.norm.weight"),
        (poison_a_weight, "not finite"),
        (
            lambda at: configure(at, hidden_size=32),
            "embed_tokens.weight is 424 x 64, by config.json it would be 424 x 32",
        ),
        (
            lambda at: configure(at, hidden_size="64"),
            "config.json cannot be used: .*'hidden_size' expected int, got str",
        ),
        (lambda at: configure(at, hidden_act="loud"), "weights cannot be loaded"),
    ],
)
def test_weights_that_do_not_fit_are_refused_while_loading(
    copy: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(copy)
    with pytest.raises(CheckpointError, match=says):
        backends.load("transformers", Load(copy, device="cpu")).prove()


def test_a_bit_that_flipped_in_a_weight_is_found_before_it_is_served(copy: Path) -> None:
    write_manifest(copy, describe(copy, "copy"))
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    served = run_wxruntime("engine", "--model", copy, "--port", "0")
    assert served.returncode == 1 and "model.safetensors: is damaged" in served.stderr


def test_a_context_longer_than_the_models_own_is_refused_by_every_backend(tiny: Path) -> None:
    served = run_wxruntime("engine", "--model", tiny, "--port", "0", "--context-length", "9000")
    assert served.returncode == 1
    assert "a context of 9000 tokens is longer than the model's own, 8192" in served.stderr


def test_the_engine_exits_with_the_sentence_and_no_traceback(copy: Path) -> None:
    poison_a_weight(copy)
    served = run_wxruntime("engine", "--model", copy, "--port", "0")
    assert served.returncode == 1
    assert "Error:" in served.stderr and "not finite" in served.stderr
    assert "Traceback" not in served.stderr
