"""Checkpoints and what is exported from them, once for all tests; each export is a process that imports PyTorch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_wxruntime
from onnx_helpers import open_backend

from wxruntime.backends.onnx import OnnxBackend
from wxruntime.backends.onnx_export import Precision, export_onnx

# The 0.3B's peculiarities at a smaller size: heads that are wider than their share of the hidden size, eight query
# heads for one key-value head, a tied head; and a rotary base of its own, so that none is assumed.
ODD_SHAPE = {
    "vocab_size": 424,
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 160,
    "max_position_embeddings": 4096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "initializer_range": 0.2,
}


@pytest.fixture(scope="session")
def odd(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in ODD_SHAPE, in several shards, with a configuration as checkpoints of July 2025 have it."""
    import torch
    from transformers import Ernie4_5Config, Ernie4_5ForCausalLM

    directory = tmp_path_factory.mktemp("models") / "odd"
    torch.manual_seed(3)
    Ernie4_5ForCausalLM(Ernie4_5Config(**ODD_SHAPE)).save_pretrained(directory, max_shard_size="500KB")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tiny / name, directory / name)
    config = json.loads((directory / "config.json").read_text())
    config |= {"architectures": ["Ernie4_5_ForCausalLM"], "auto_map": {"AutoConfig": "configuration_ernie.Config"}}
    (directory / "config.json").write_text(json.dumps(config))
    assert (directory / "model.safetensors.index.json").is_file()
    return directory


def _export(checkpoint: Path, precision: Precision, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / f"{checkpoint.name}-{precision}"
    export_onnx(checkpoint, out, precision)
    return out


@pytest.fixture(scope="session")
def tiny_fp32(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _export(tiny, "fp32", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_int4(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as an operator would; the others by the function that the command calls."""
    out = tmp_path_factory.mktemp("exported") / "new" / "tiny-int4"
    exported = run_wxruntime("model", "export", tiny, out, "--onnx", "--precision", "int4")
    assert exported.returncode == 0, exported.stderr
    return out


@pytest.fixture(scope="session")
def odd_fp32(odd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _export(odd, "fp32", tmp_path_factory)


@pytest.fixture
def backend(tiny_fp32: Path) -> Iterator[OnnxBackend]:
    opened = open_backend(tiny_fp32)
    yield opened
    opened.close()
