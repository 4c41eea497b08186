"""`wxops model verify`: every file of a model against its manifest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from wxruntime.cli.models.common import JSON, STORE, command, show_json, size


@click.command("verify")
@click.argument("model")
@click.option("--trusted-key", "keys", type=click.Path(path_type=Path), multiple=True,
              help="Demand a signature of this public key; repeatable, one is enough.")  # fmt: skip
@click.option("--sizes", is_flag=True, help="Compare sizes only, read no contents.")
@STORE
@JSON
@command
def verify_(model: str, keys: tuple[Path, ...], sizes: bool, store: Path | None, as_json: bool) -> int:
    """Whether MODEL is still what its manifest says: nothing changed, missing, extra, or linked from elsewhere.

    Exits with 0, or with 1 and every file that is not as it should be.
    """
    from wxruntime.models.manifest import read_manifest
    from wxruntime.models.signature import require_signature
    from wxruntime.models.store import Store, default_store
    from wxruntime.models.verify import Check, compare, no_manifest

    directory = Store(store or default_store()).find(model)
    manifest = read_manifest(directory)
    if manifest is None:
        raise no_manifest(directory)
    signed_by = require_signature(directory, keys) if keys else None
    faults = list(compare(directory, manifest, Check.SIZES if sizes else Check.DIGESTS))
    if as_json:
        told = {"directory": directory, "files": len(manifest.files), "size": manifest.size, "signed_by": signed_by}
        check = "sizes" if sizes else "digests"
        show_json({**told, "check": check, "faults": [asdict(fault) for fault in faults]})
    elif not faults:
        what = "sizes only" if sizes else "SHA-256"
        by = f", signed by {signed_by}" if signed_by else ""
        click.echo(f"{directory}: {len(manifest.files)} files, {size(manifest.size)}, as in the manifest ({what}{by})")
    else:
        for fault in faults:
            click.echo(f"{directory / fault.path}: {fault.what}\n  {fault.fix}")
    if faults:
        click.get_current_context().exit(1)
    return 0
