"""`wxops model add`: a checkpoint becomes a model of the store."""

from __future__ import annotations

from pathlib import Path

import click

from wxruntime.cli.models.common import JSON, SIGN, STORE, command, show_json, size


@click.command("add")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="In the store.  [default: the directory's name]")
@click.option("--in-place", is_flag=True, help="Copy nothing: write the manifest into SOURCE.")
@SIGN
@STORE
@JSON
@command
def add_(source: Path, name: str | None, in_place: bool, key: Path | None, store: Path | None, as_json: bool) -> None:
    """Copy the checkpoint directory SOURCE into the store and write its manifest: SHA-256 and size of every file.

    Links, as a hub's cache has them, are followed; pickles and hidden files stay behind. A SOURCE that has a manifest
    is held against it on the way, and its signature comes along. Equal names are refused.
    """
    from wxruntime.models.manifest import read_manifest
    from wxruntime.models.store import Store, default_store, describe_in_place

    if in_place and name:
        raise click.UsageError("--name is of a copy in the store: with --in-place the directory keeps its own")
    if in_place:
        describe_in_place(source, key)
        target = source
    else:
        target = Store(store or default_store()).add(source, name, key)
    manifest = read_manifest(target)
    if manifest is None:
        raise click.ClickException(f"{target}: the manifest went away while it was written")
    if as_json:
        show_json({"directory": target, "name": manifest.name, "files": len(manifest.files), "size": manifest.size})
    else:
        click.echo(f"{target}: {len(manifest.files)} files, {size(manifest.size)}{', signed' if key else ''}")
