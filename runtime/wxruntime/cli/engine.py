"""`wxruntime engine`: serves one checkpoint."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from wxruntime.cli.setting import setting

# Which settings say how the backend is loaded; the others are the server's.
LOADING = (
    "model",
    "device",
    "dtype",
    "context_length",
    "max_sequences",
    "max_batch_tokens",
    "kv_tokens",
    "memory_fraction",
    "prefix_caching",
    "compile",
    "threads",
    "gather_s",
)

POSITIVE = click.IntRange(min=1)


@click.command(context_settings={"show_default": True})
@setting("--model", type=click.Path(path_type=Path), required=True, help="Checkpoint directory.")
@setting(
    "--backend",
    type=click.Choice(["auto", "paged", "transformers", "onnx"]),
    default="auto",
    help="What runs it; auto is paged for a dense model on a GPU, else transformers.",
)
@setting("--served-model-name", multiple=True, help="Name in the API, repeatable.  [default: the directory's name]")
@setting("--host", default="127.0.0.1", help="Address to listen on.")
@setting("--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0 takes a free one.")
@setting("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@setting("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16", "fp8"]), default="auto")
@setting("--context-length", type=POSITIVE, help="Most tokens of prompt and answer.  [default: the checkpoint's]")
@setting("--max-sequences", type=POSITIVE, help="Most answers in a step.  [default: 64 on a CPU, 256 on a GPU]")
@setting("--max-batch-tokens", type=POSITIVE, help="Most tokens in a step; longer prompts are read in pieces.")
@setting("--kv-tokens", type=POSITIVE, help="Room in the KV cache, in tokens.  [default: what the memory allows]")
@setting("--memory-fraction", type=click.FloatRange(0, 1, min_open=True), default=0.9, help="Share of a GPU's memory.")
@setting("--prefix-caching/--no-prefix-caching", default=True, help="Share what prompts begin with.")
@setting("--compile/--no-compile", default=True, help="Compile the model for a GPU; the start takes longer.")
@setting("--threads", type=POSITIVE, help="CPU threads of the onnx backend.  [default: the machine's cores]")
@setting("--gather-s", type=click.FloatRange(min=0), help="How long onnx waits for others to share a batch.")
@setting("--queue-size", type=click.IntRange(min=0), default=128, help="Requests that may wait; more get 429.")
@setting(
    "--stall-seconds",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    help="A step that takes longer makes /health fail.",
)
@setting("--drain-seconds", type=click.IntRange(min=0), default=30, help="On SIGTERM, time for running answers to end.")
@setting("--require-manifest", is_flag=True, help="Refuse a directory that has no manifest.")
@setting(
    "--trusted-key", type=click.Path(path_type=Path), multiple=True, help="Public key; the manifest must be signed."
)
@setting(
    "--sizes-only", is_flag=True, help="Compare files with the manifest by size: for models too huge to read twice."
)
@setting(
    "--log",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    help="What is logged; warning leaves out the line of each answer.",
)
def engine(log: str, **options: Any) -> None:
    """Load the checkpoint and answer until SIGTERM or Ctrl-C.

    Every option is also an environment variable: WXRUNTIME_MODEL, WXRUNTIME_QUEUE_SIZE and so on.
    """
    from wxruntime.backends.base import Load
    from wxruntime.checkpoint import CheckpointError
    from wxruntime.engine.serve import Options, run
    from wxruntime.models.verify import Check, Trust

    os.environ["WXRUNTIME_LOG"] = log  # for the backend's process
    logging.basicConfig(level=log.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    load = Load(**{name: options.pop(name) for name in LOADING})
    check = Check.SIZES if options.pop("sizes_only") else Check.DIGESTS
    trust = Trust(check, manifest=options.pop("require_manifest"), trusted_keys=options.pop("trusted_key"))
    try:
        run(Options(load=load, trust=trust, **options))
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
