"""`wxruntime gang`: the program with which `wxruntime check` has each host of several start its part of an engine."""

from __future__ import annotations

import click

from wxruntime.profile.command import GANG


@click.command()
def gang() -> None:
    """Print the program that starts an engine's part on a host when the other hosts are there, and ends it with them.

    python3 -c "$(wxruntime gang)" --help says what it takes.
    """
    click.echo(GANG.read_text(encoding="utf-8"), nl=False)
