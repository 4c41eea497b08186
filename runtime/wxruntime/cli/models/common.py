"""What the subcommands of `wxops model` share: the store, the output for programs, and how errors end."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")
STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    envvar="WXOPS_MODELS",
    help="Where models are.  [default: $WXOPS_MODELS, else ~/.local/share/wxops/models]",
)
SIGN = click.option("--sign", "key", type=click.Path(path_type=Path), help="Sign with this Ed25519 private key.")


def command(function: Command) -> Command:
    """What is wrong with a model is a sentence and exit status 1; what goes on is told on stderr."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> Any:
        from wxruntime.checkpoint import CheckpointError
        from wxruntime.models.errors import ModelError

        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        try:
            return function(*arguments, **options)
        except (ModelError, CheckpointError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if not (error.filename and error.strerror):
                raise
            raise click.ClickException(f"{error.filename2 or error.filename}: {error.strerror}") from error

    return guarded  # type: ignore[return-value]


def show_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def need(module: str, extra: str) -> None:
    """A part of wxruntime that its light installation has not. Raise ClickException, which says what to install."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise click.ClickException(
            f"{module} is not installed in this environment\n  pip install 'wxruntime[{extra}]', "
            "or run this in the image: docker run IMAGE wxruntime model ..."
        )


def size(number: int) -> str:
    return f"{number / 2**30:.2f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"
