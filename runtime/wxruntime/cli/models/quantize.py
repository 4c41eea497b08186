"""`wxops model quantize`: a smaller model, and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wxruntime.cli.models.common import JSON, SIGN, STORE, command, need, show_json


@click.command("quantize", context_settings={"show_default": True})
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--fp8", "precision", flag_value="fp8", help="FP8 weights and activations; for Ada, Hopper and later.")
@click.option("--int8", "precision", flag_value="int8", help="INT8 weights and activations; from Turing on.")
@click.option("--int4", "precision", flag_value="int4", help="INT4 weights in groups, activations as they are.")
@click.option("--calibrate", type=click.Path(path_type=Path), metavar="TEXT",
              help="Round with this text in mind (GPTQ): loses less, loads the whole model.")  # fmt: skip
@click.option(
    "--text", type=click.Path(path_type=Path), help="Measure the loss on this text: perplexity, first choices."
)
@click.option("--questions", type=click.Path(path_type=Path),
              help="Measure it on these questions as well: a CSV file, or a directory of C-Eval or CMMLU.")  # fmt: skip
@click.option("--tokens", type=click.IntRange(min=64), default=100_000, help="Most tokens of TEXT to measure on.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--strict", is_flag=True, help="Exit with 1 where a limit is missed or was not measured.")
@SIGN
@STORE
@JSON
@command
def quantize_(
    model: str,
    out: Path,
    precision: str | None,
    calibrate: Path | None,
    text: Path | None,
    questions: Path | None,
    strict: bool,
    key: Path | None,
    store: Path | None,
    as_json: bool,
    **measuring: Any,
) -> int:
    """Round the weights of MODEL and write the new directory OUT: compressed-tensors, as vLLM loads it.

    Embeddings, head, norms and routers keep their type. The report says sizes and, with --text or --questions, the
    loss, against the guide's limits: half the size, under 2 % loss. It is OUT/wxops-quantize.json, beside the manifest.
    """
    if precision is None:
        raise click.UsageError("say which precision: --fp8, --int8 or --int4")
    need("torch", "transformers")
    from wxruntime.models.loss import Sample
    from wxruntime.models.make import make_smaller
    from wxruntime.models.questions import read_questions
    from wxruntime.models.signature import sign
    from wxruntime.models.store import Store, default_store

    sample = Sample(
        text=text,
        questions=tuple(read_questions(questions)) if questions else (),
        questions_name=questions.name if questions else "",
        most_tokens=measuring["tokens"],
    )
    directory = Store(store or default_store()).find(model)
    report = make_smaller(directory, out, precision, sample, calibrate, measuring["device"])
    if key is not None:
        sign(out, key)
    if as_json:
        show_json(report.to_json())
    else:
        click.echo("\n".join(report.lines()))
    if strict and any(verdict.passed is not True for verdict in report.verdicts()):
        click.get_current_context().exit(1)
    return 0
