"""Which backend runs a checkpoint on this machine, where nobody said: the fastest that can.

At ERNIE-4.5-0.3B's shape one H200 made 166,195 tokens a second in the paged backend, and 15,893 in transformers'
batching with our attention and compiled layers (docs/evidence/bench-gpu.md). So paged is taken for all that it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from wxruntime.backends.base import Load
from wxruntime.backends.gpu_path import Capability
from wxruntime.backends.paged import FAMILY, LEAST_CAPABILITY, unlike


def pick(options: Load) -> tuple[str, str]:
    """The name of a backend, and why."""
    config = json.loads((options.model / "config.json").read_bytes())
    on_gpu = options.device != "cpu" and torch.cuda.is_available()
    return choose(config, options.dtype, torch.cuda.get_device_capability() if on_gpu else None)


def choose(config: Mapping[str, Any], dtype: str, gpu: Capability | None) -> tuple[str, str]:
    """config: of config.json. dtype: as the operator says it. gpu: None where it runs on a CPU."""
    if gpu is None:
        return "transformers", "it runs on a CPU"
    if config.get("model_type") != FAMILY:
        return "transformers", f"{config.get('model_type')} is not dense"
    if gpu < LEAST_CAPABILITY:
        return "transformers", f"the GPU's compute capability is {gpu[0]}.{gpu[1]}, below 8.0"
    if odd := unlike(config):
        return "transformers", f"the model has {odd}"
    wanted = (config.get("dtype") or config.get("torch_dtype")) if dtype == "auto" else dtype
    if wanted not in ("bfloat16", "fp8"):
        return "transformers", f"it is to run in {wanted}"
    return "paged", "a dense model on a GPU"
