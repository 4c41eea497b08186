"""The command `wxruntime`: serve a checkpoint, make a tiny one, ask a server's health.

PyTorch is imported only by the commands that need it: a health check runs every few seconds.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def setting(flag: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option that is also the environment's WXRUNTIME_FLAG."""
    return click.option(flag, envvar="WXRUNTIME" + flag.upper().replace("-", "_").replace("__", "_"), **attributes)


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="wxruntime")
def main() -> None:
    """Serves an ERNIE 4.5 checkpoint from a directory over OpenAI's HTTP API."""


@main.command(context_settings={"show_default": True})
@setting("--model", type=click.Path(path_type=Path), required=True, help="Checkpoint directory.")
@setting("--served-model-name", multiple=True, help="Name in the API, repeatable.  [default: the directory's name]")
@setting("--host", default="127.0.0.1", help="Address to listen on.")
@setting("--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0 takes a free one.")
@setting("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@setting("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto")
@setting("--queue-size", type=click.IntRange(min=0), default=16, help="Requests that may wait; more get 503.")
@setting("--stall-seconds", type=float, default=60.0, help="A step that takes longer makes /health fail.")
@setting("--drain-seconds", type=int, default=30, help="On SIGTERM, time for running answers to end.")
def serve(**options: Any) -> None:
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


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal files.")
@click.option("--moe", is_flag=True, help="The mixture-of-experts architecture.")
@click.option("--random", "untaught", is_flag=True, help="Leave the weights random: faster, answers nonsense.")
def tiny(directory: Path, seed: int, moe: bool, untaught: bool) -> None:
    """Make a tiny ERNIE 4.5 checkpoint in DIRECTORY (new or empty), for tests; takes seconds on a CPU."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise click.ClickException(f"{directory} exists and is not an empty directory")
    from wxruntime.tiny import Recipe, make_checkpoint

    make_checkpoint(directory, Recipe(seed=seed, moe=moe, taught=not untaught))


@main.command()
@click.argument("url", required=False)
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds.")
@setting("--port", type=int, default=8000, hidden=True)
def healthcheck(url: str | None, timeout: float, port: int) -> None:
    """Exit 0 when URL answers 200, else 1 with the reason. URL is /ready of the server on this machine by default."""
    from wxruntime.healthcheck import probe

    if fault := probe(url or f"http://127.0.0.1:{port}/ready", timeout):
        raise click.ClickException(fault)
