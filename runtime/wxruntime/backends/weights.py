"""Loads a checkpoint's weights into transformers' model of ERNIE 4.5, or says in a sentence why it cannot."""

from __future__ import annotations

import logging

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from wxruntime.checkpoint import Checkpoint, CheckpointError

log = logging.getLogger("wxruntime")


def pick_device(wanted: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("--device cuda: PyTorch sees no CUDA device (no driver, no GPU given, or a CPU build)")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype | str:
    """`auto` is the checkpoint's own type on a GPU, and float32 on a CPU, where bfloat16 is mostly emulated."""
    if wanted == "auto":
        return "auto" if device.type == "cuda" else torch.float32
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if wanted not in types:
        raise CheckpointError(f"--dtype {wanted}: the transformers backend runs {', '.join(types)}")
    return types[wanted]


def load_weights(checkpoint: Checkpoint, dtype: torch.dtype | str, attention: str) -> torch.nn.Module:
    """transformers fills absent weights with random ones and only warns; here that is an error."""
    disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            checkpoint.directory,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever a file that it did not expect makes transformers raise
        raise CheckpointError(f"{checkpoint.directory}: the weights cannot be loaded: {error!r}") from error
    if report["missing_keys"]:
        raise CheckpointError(f"{checkpoint.directory} lacks the weight {min(report['missing_keys'])}")
    if report["unexpected_keys"]:
        log.warning("weights not used by this architecture: %s", ", ".join(sorted(report["unexpected_keys"])[:5]))
    loaded: torch.nn.Module = model
    return loaded
