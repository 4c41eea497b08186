"""`wxops doc [MODULE]`: what a module does and takes."""

from __future__ import annotations

import click

from wxops.cli import completion


@click.command()
@click.argument("module", required=False, shell_complete=completion.modules)
def doc(module: str | None) -> None:
    """What MODULE does and takes; without MODULE, all modules."""
    from wxops.actions import catalog
    from wxops.console.module_doc import one_line, page

    if module is None:
        for name in catalog.names():
            click.echo(one_line(catalog.module(name)))
        return
    click.echo(page(catalog.module(module)))
