"""Exports a checkpoint for the emergency engine: ONNX, from the same weights, for a CPU.

onnxruntime-genai's model builder writes the graph; from 0.13 it knows ERNIE 4.5's interleaved rotary embedding. It runs
as a process of its own: it is a script that changes sys.path, and the memory that it takes goes with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from wxruntime.checkpoint import CheckpointError, read_checkpoint, tensor_names
from wxruntime.models.manifest import MANIFEST, describe, write_manifest

log = logging.getLogger("wxruntime")

Precision = Literal["int4", "fp32"]

# The architecture's name as the builder knows it; checkpoints of July 2025 write it with an underscore more.
ARCHITECTURE = "Ernie4_5ForCausalLM"
DENSE = "ernie4_5"

# Taken from the checkpoint as they are, so that both engines read and write text alike.
TRAVELS = ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

# The weights of a dense ERNIE 4.5, as transformers names them.
LAYERLESS = ("model.embed_tokens.weight", "model.norm.weight")
LAYER = (
    *("input_layernorm", "post_attention_layernorm"),
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)

NEEDS = ("onnxruntime-genai", "onnx-ir", "onnx", "torch", "transformers")
SHOWN_LINES = 5


def export_onnx(checkpoint: Path, out: Path, precision: Precision) -> None:
    """Write the model directory `out`, which must not be there, all or nothing.

    fp32 is the checkpoint's weights as they are, int4 has the matrices in 4 bits, and once more in 8 bits for steps of
    many tokens (onnx_batch.py); either reckons with 8-bit activations.
    Raise CheckpointError for a checkpoint that cannot be exported, and when the builder fails.
    """
    _require_libraries()
    config = _exportable(checkpoint)
    if out.exists():
        raise CheckpointError(f"{out} is already there; an export makes a new directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as unfinished:
        work = Path(unfinished)
        source = _stage(checkpoint, config, work / "source")
        whole = work / "whole"
        _build(source, whole, work / "cache", precision)
        _complete(checkpoint, config, whole, precision)
        write_manifest(whole, describe(whole, out.name, _origin(checkpoint, precision)))
        for file in whole.iterdir():
            file.chmod(0o644)
        whole.chmod(0o755)
        whole.rename(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    log.info("%s: %s, %.1f MB", out, precision, size / 1e6)


def _require_libraries() -> None:
    for name in NEEDS:
        try:
            version(name)
        except PackageNotFoundError:
            raise CheckpointError(f"{name} is not installed: `pip install 'wxruntime[export]'` brings it") from None


def _exportable(checkpoint: Path) -> dict[str, Any]:
    """The checkpoint's configuration as the builder takes it."""
    found = read_checkpoint(checkpoint)
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_bytes())
    if found.model_type != DENSE:
        raise CheckpointError(
            f"{checkpoint} is a mixture of experts: onnxruntime-genai's builder knows dense ERNIE 4.5 only; "
            "take a dense checkpoint for the emergency engine, or serve this one with --backend transformers or vLLM"
        )
    if "quantization_config" in config:
        raise CheckpointError(
            f"{checkpoint} is quantized already ({config['quantization_config'].get('quant_method')}): "
            "export the checkpoint that it was made from"
        )
    _require_weights(checkpoint, config)
    config.pop("auto_map", None)  # it names code in the checkpoint, which is never run
    return config | {"architectures": [ARCHITECTURE]}


def _require_weights(checkpoint: Path, config: Mapping[str, Any]) -> None:
    """The builder would put random numbers for a weight that is not there."""
    names = set(LAYERLESS)
    for layer in range(config["num_hidden_layers"]):
        names.update(f"model.layers.{layer}.{part}.weight" for part in LAYER)
    if not config.get("tie_word_embeddings", True):  # transformers' default for ERNIE 4.5
        names.add("lm_head.weight")
    if absent := names - tensor_names(checkpoint):
        raise CheckpointError(f"{checkpoint} lacks the weight {min(absent)}")


def _stage(checkpoint: Path, config: Mapping[str, Any], source: Path) -> Path:
    """A directory with links to the checkpoint's files and the configuration of our own making."""
    source.mkdir()
    for file in checkpoint.iterdir():
        if file.name != "config.json" and file.suffix != ".py" and file.is_file():
            (source / file.name).symlink_to(file.resolve())
    (source / "config.json").write_text(json.dumps(config))
    return source


def _build(source: Path, whole: Path, cache: Path, precision: Precision) -> None:
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    command += ["-i", str(source), "-o", str(whole), "-c", str(cache), "-p", precision, "-e", "cpu"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode != 0:
        said = "\n  ".join(done.stdout.strip().splitlines()[-SHOWN_LINES:])
        raise CheckpointError(f"{source}: onnxruntime-genai's builder failed (exit {done.returncode}):\n  {said}")


def _complete(checkpoint: Path, config: Mapping[str, Any], whole: Path, precision: Precision) -> None:
    """What a model directory needs besides the builder's files."""
    from wxruntime.backends.onnx_batch import write_batch_graph
    from wxruntime.backends.onnx_graph import keep_last_logits

    try:
        keep_last_logits(whole / "model.onnx")
        if precision == "int4":
            write_batch_graph(checkpoint, whole)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint}: the builder made another graph than is known here: {error}") from error
    for name in TRAVELS:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, whole / name)
    exported = {"precision": precision, "builder": f"onnxruntime-genai {version('onnxruntime-genai')}"}
    (whole / "config.json").write_text(json.dumps({**config, "wxruntime_onnx": exported}, indent=2) + "\n")


def _origin(checkpoint: Path, precision: Precision) -> dict[str, str]:
    origin = {"scheme": f"onnx-{precision}", "from": checkpoint.resolve().name}
    if (manifest := checkpoint / MANIFEST).is_file():
        origin["manifest"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    return origin
