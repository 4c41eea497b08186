"""Weights into memory by transformers, whole or rounded: absent ones are an error, not random numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, Ernie4_5_MoeForCausalLM, Ernie4_5ForCausalLM
from transformers.utils.logging import disable_progress_bar

from wxruntime.checkpoint import CheckpointError
from wxruntime.models.dequantize import precision_in, unquantized, whole_weights

log = logging.getLogger("wxruntime")

CLASSES = {"ernie4_5": Ernie4_5ForCausalLM, "ernie4_5_moe": Ernie4_5_MoeForCausalLM}


def load_model(directory: Path, dtype: torch.dtype | str, **settings: Any) -> torch.nn.Module:
    """settings: of `from_pretrained`, such as attn_implementation. dtype: "auto" is the checkpoint's own.

    A rounded checkpoint comes out as whole weights (dequantize.py). Raise CheckpointError or ModelError.
    """
    disable_progress_bar()
    precision = precision_in(directory)
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers and huggingface_hub have several for a value that is not as it should be
        raise CheckpointError(f"{directory}/config.json cannot be used: {_sentence(error)}") from error
    if precision is not None:
        wanted = dtype if isinstance(dtype, torch.dtype) else config.dtype or torch.bfloat16
        settings["state_dict"] = dict(whole_weights(directory, wanted))
        log.info("%s: weights of %s are held as %s, and take the memory of that", directory, precision.name, wanted)
    try:
        model, report = CLASSES[config.model_type].from_pretrained(
            None if precision else directory,
            config=unquantized(config),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are told below, by name
            output_loading_info=True,
            **settings,
        )
    except Exception as error:  # whatever a file that it did not expect makes transformers raise
        raise CheckpointError(f"{directory}: the weights cannot be loaded: {error!r}") from error
    if report["mismatched_keys"]:
        name, has, wants = min(report["mismatched_keys"])
        raise CheckpointError(f"{directory}: {name} is {_shape(has)}, by config.json it would be {_shape(wants)}")
    if report["missing_keys"]:
        raise CheckpointError(f"{directory} lacks the weight {min(report['missing_keys'])}")
    if report["unexpected_keys"]:
        log.warning("weights not used by this architecture: %s", ", ".join(sorted(report["unexpected_keys"])[:5]))
    loaded: torch.nn.Module = model.eval()
    return loaded


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or repr(error)


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
