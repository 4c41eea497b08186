"""`wxops model list`: what the store has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from wxruntime.cli.models.common import JSON, STORE, command, show_json, show_table, size


@click.command("list")
@STORE
@JSON
@command
def list_(store: Path | None, as_json: bool) -> None:
    """The models of the store: precision, size, whether signed and evaluated. Files are not read; see verify."""
    from wxruntime.models.store import Store, default_store

    root = store or default_store()
    entries = list(Store(root).entries())
    if as_json:
        show_json([asdict(entry) for entry in entries])
    elif not entries:
        click.echo(f"no models in {root}; `wxops model add DIRECTORY` takes one in")
    else:
        head = ("NAME", "ARCHITECTURE", "PRECISION", "SIZE", "FILES", "CREATED", "SIGNED", "EVALUATED")
        rows = [
            (each.name, each.fault, "", "", "", "", "", "")
            if each.fault
            else (
                each.name,
                each.architecture,
                each.precision,
                size(each.size),
                str(each.files),
                each.created[:16],
                "yes" if each.signed else "no",
                "yes" if each.evaluated else "no",
            )
            for each in entries
        ]
        show_table(head, rows)
