"""`wxops model`: the commands of wxruntime for models, where wxruntime is installed beside wxops.

wxops itself knows nothing of weights and never imports PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import click

from wxops.cli.group import Group


class ModelGroup(Group):
    """Lists and runs what `wxruntime model` has."""

    def list_commands(self, context: click.Context) -> list[str]:
        return _of_wxruntime().list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _of_wxruntime().get_command(context, name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        _of_wxruntime().format_commands(context, formatter)


def _of_wxruntime() -> click.Group:
    from wxops.errors import InputError

    if find_spec("wxruntime") is None:
        raise InputError(
            "models are the part of wxruntime, which is not installed beside wxops",
            fix="pip install ./runtime from wxops's sources, with [transformers] for quantize and eval, "
            "or run it in the image: docker run IMAGE wxruntime model ...",
        )
    group: click.Group = import_module("wxruntime.cli.model").model
    return group


@click.group(cls=ModelGroup)
def model() -> None:
    """Models as directories: files with a manifest, made smaller, and measured.

    A model is named by its directory, or by its name in the store.
    """
