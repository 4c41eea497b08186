"""`wxruntime model`, which is `wxops model` as well: models as directories, from their source to their worth.

A file a subcommand in wxruntime/cli/models, imported when it is asked for: only quantize and eval need PyTorch.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "add": "Take a checkpoint into the store, with its manifest.",
    "list": "The models of the store.",
    "verify": "Whether a model is still what its manifest says.",
    "export": "Copy a model out of the store, or make its ONNX form.",
    "quantize": "Make a smaller model: fp8, int8 or int4; and say what it cost.",
    "eval": "Multiple choice and perplexity, here or of a served model.",
}


class ModelCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"wxruntime.cli.models.{cmd_name}"), f"{cmd_name}_")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=ModelCommands, context_settings={"max_content_width": 110})
def model() -> None:
    """Models as directories: files with a manifest, made smaller, and measured.

    A model is named by its directory, or by its name in the store.
    """
