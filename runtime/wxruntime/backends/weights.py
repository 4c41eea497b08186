"""Loads a checkpoint's weights into transformers' model of ERNIE 4.5, or says in a sentence why it cannot."""

from __future__ import annotations

import torch

from wxruntime.checkpoint import Checkpoint, CheckpointError
from wxruntime.models.errors import ModelError
from wxruntime.models.loading import load_model


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
    """Also of a quantized checkpoint, as the whole weights that it stands for."""
    try:
        return load_model(checkpoint.directory, dtype, attn_implementation=attention)
    except ModelError as error:
        raise CheckpointError(str(error)) from error
