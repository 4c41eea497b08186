"""`wxops doc [MODULE]` and `wxops completion SHELL`."""

from __future__ import annotations

import click


@click.command()
@click.argument("module", required=False)
def doc(module: str | None) -> None:
    """What MODULE does and takes; without MODULE, all modules."""
    from wxops.actions import catalog
    from wxops.console.module_doc import one_line, page

    if module is None:
        for name in catalog.names():
            click.echo(one_line(catalog.module(name)))
        return
    click.echo(page(catalog.module(module)))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    For bash: wxops completion bash > /etc/bash_completion.d/wxops
    """
    from click.shell_completion import get_completion_class

    from wxops.cli.main import cli

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(cli, {}, "wxops", "_WXOPS_COMPLETE").source())
