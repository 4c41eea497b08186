"""`wxops model export`: a model out of the store, to carry it elsewhere or to run it without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wxruntime.cli.models.common import SIGN, STORE, command, need


@click.command("export")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--onnx", is_flag=True, help="The form that the emergency engine runs on a CPU.")
@click.option("--precision", type=click.Choice(["int4", "fp32"]), help="Of --onnx.  [default: int4]")
@SIGN
@STORE
@command
def export_(model: str, out: Path, onnx: bool, precision: Any, key: Path | None, store: Path | None) -> None:
    """Copy MODEL to the new directory OUT with its manifest and signature, every byte checked on the way.

    With --onnx its ONNX form is made instead, by onnxruntime-genai's model builder.
    """
    from wxruntime.models.errors import ModelError
    from wxruntime.models.store import Store, copy_model, default_store

    directory = Store(store or default_store()).find(model)
    if precision and not onnx:
        raise click.UsageError("--precision is of --onnx; `wxops model quantize` makes other precisions for GPUs")
    if out.exists():
        raise ModelError("this is there already", where=out, fix="name a directory that is not there")
    if onnx:
        need("torch", "transformers,export")
        from wxruntime.backends.onnx_export import export_onnx
        from wxruntime.models.signature import sign

        export_onnx(directory, out, precision or "int4")
        if key is not None:
            sign(out, key)
    else:
        copy_model(directory, out, key)
    click.echo(f"{out}: written")
