"""`wxruntime engine`: serves one checkpoint."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from wxruntime.cli.setting import setting


@click.command(context_settings={"show_default": True})
@setting("--model", type=click.Path(path_type=Path), required=True, help="Checkpoint directory.")
@setting("--served-model-name", multiple=True, help="Name in the API, repeatable.  [default: the directory's name]")
@setting("--host", default="127.0.0.1", help="Address to listen on.")
@setting("--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0 takes a free one.")
@setting("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@setting("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto")
@setting("--queue-size", type=click.IntRange(min=0), default=16, help="Requests that may wait; more get 503.")
@setting("--stall-seconds", type=float, default=60.0, help="A step that takes longer makes /health fail.")
@setting("--drain-seconds", type=int, default=30, help="On SIGTERM, time for running answers to end.")
def engine(**options: Any) -> None:
    """Load the checkpoint and answer until SIGTERM or Ctrl-C.

    Every option is also an environment variable: WXRUNTIME_MODEL, WXRUNTIME_QUEUE_SIZE and so on.
    """
    from wxruntime.checkpoint import CheckpointError
    from wxruntime.serve import Options, run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        run(Options(**options))
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
