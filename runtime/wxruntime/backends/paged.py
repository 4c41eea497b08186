"""The backend that serves dense ERNIE 4.5 on a GPU: wxruntime.paged, sized for the checkpoint and the card."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig

from wxruntime.backends.base import Load
from wxruntime.backends.weights import pick_device
from wxruntime.checkpoint import CheckpointError, read_checkpoint
from wxruntime.models.errors import ModelError
from wxruntime.models.verify import Check, Trust
from wxruntime.paged.loop import Paged
from wxruntime.paged.model import Ernie, slot_bytes
from wxruntime.paged.weights import Weights, read_weights

log = logging.getLogger("wxruntime")

FAMILY = "ernie4_5"  # transformers' model_type of the dense models
LEAST_CAPABILITY = (8, 0)  # Ampere: bfloat16, and what Triton is tested on
PAGE = 64  # tokens; the kernels read a page as one tile
SEQUENCES = 256
BATCH_TOKENS = 8192
# What activations, graphs and the libraries take beside weights and cache, at up to BATCH_TOKENS tokens a step.
WORKSPACE = 3 * 2**30
CPU_TOKENS = 8192


def load(options: Load) -> Paged:
    """The model in memory. With dtype "fp8" the weights of its layers are rounded, where the checkpoint has not."""
    checkpoint = read_checkpoint(options.model, Trust(check=Check.SIZES))  # the server has compared the digests
    if checkpoint.model_type != FAMILY:
        raise CheckpointError(
            f"{options.model} is {checkpoint.model_type}: the paged backend runs dense ERNIE 4.5 only"
        )
    device = pick_device(options.device)
    if device.type == "cpu" and options.device != "cpu":
        raise CheckpointError(
            "--backend paged is for a GPU, and PyTorch sees none (no driver, no GPU given, or a CPU build): "
            "--backend transformers runs on a CPU"
        )
    config = AutoConfig.from_pretrained(options.model, local_files_only=True, trust_remote_code=False)
    if odd := unlike(config.to_dict()):
        raise CheckpointError(f"{options.model} has {odd}, which this backend has not: take --backend transformers")
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    if options.dtype not in ("auto", "fp8"):
        dtype = getattr(torch, options.dtype)
    try:
        weights = read_weights(options.model, config, device, dtype, options.dtype == "fp8")
    except KeyError as error:
        raise CheckpointError(f"{options.model} lacks the weight {error.args[0]}") from None
    except ModelError as error:
        raise CheckpointError(str(error)) from error
    except torch.OutOfMemoryError:
        raise CheckpointError(
            f"{options.model}: the weights do not fit the GPU's memory; take a smaller precision (--dtype fp8), a card "
            "with more memory, or end what else runs on it"
        ) from None
    return build(config, weights, options)


def unlike(config: Mapping[str, Any]) -> str:
    """What a config.json asks for that is not in wxruntime.paged.model; empty where there is nothing."""
    if config.get("use_bias"):
        return "biases (use_bias)"
    activation = config.get("hidden_act", "silu")
    return "" if activation == "silu" else f"hidden_act {activation!r}"


def build(config: Any, weights: Weights, options: Load) -> Paged:
    """A cache as large as the memory allows, and the graphs."""
    device, dtype = weights.embedding.device, weights.embedding.dtype
    context = min(options.context_length or config.max_position_embeddings, config.max_position_embeddings)
    pages = _pages(options, slot_bytes(config, dtype) * PAGE, device)
    if pages * PAGE < context:
        if options.context_length is not None:
            raise CheckpointError(
                f"the KV cache has room for {pages * PAGE} tokens, less than a context of {context}: "
                "ask for a shorter one, or give it more memory"
            )
        context = pages * PAGE
    backend = Paged(
        Ernie(config, weights, pages * PAGE, context),
        slots=pages * PAGE,
        page=PAGE,
        sequences=options.max_sequences or SEQUENCES,
        batch_tokens=options.max_batch_tokens or BATCH_TOKENS,
        context=context,
        share=options.prefix_caching,
    )
    began = time.monotonic()
    if options.compile:
        backend.capture()
    log.info("%d tokens of KV cache; CUDA graphs in %.1f s", pages * PAGE, time.monotonic() - began)
    return backend


def _pages(options: Load, page_bytes: int, device: torch.device) -> int:
    if options.kv_tokens is not None:
        return -(-options.kv_tokens // PAGE)
    if device.type == "cpu":
        return CPU_TOKENS // PAGE
    torch.cuda.empty_cache()  # what joining the weights has left
    free, total = torch.cuda.mem_get_info(device)
    workspace = WORKSPACE * max(1.0, (options.max_batch_tokens or BATCH_TOKENS) / BATCH_TOKENS)
    room = free - (1 - options.memory_fraction) * total - workspace
    if room < page_bytes:
        raise CheckpointError(
            f"after the weights {free / 2**30:.1f} GiB of the GPU are free: too little for a KV cache; "
            "take a smaller precision or a card with more memory"
        )
    return int(room // page_bytes)
