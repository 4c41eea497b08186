"""`wxops model eval`: multiple choice and perplexity of a model, in this process or served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wxruntime.cli.models.common import JSON, STORE, command, need, show_json

if TYPE_CHECKING:
    from wxruntime.models.evaluate import Choice, Evaluation, Text
    from wxruntime.models.questions import Question

    Sets = Sequence[tuple[str, Sequence[Question]]]


@click.command("eval", context_settings={"show_default": True})
@click.argument("model", required=False)
@click.option("--questions", type=click.Path(path_type=Path), multiple=True,
              help="A CSV file, or a directory of C-Eval or CMMLU; repeatable.")  # fmt: skip
@click.option("--smoke", is_flag=True, help="Sixty easy questions in Chinese that come with wxruntime.")
@click.option("--text", type=click.Path(path_type=Path), help="Perplexity of this text.")
@click.option("--tokens", type=click.IntRange(min=64), default=100_000, help="Most tokens of TEXT.")
@click.option("--url", help="Ask the server at URL, with the key in $WXOPS_API_KEY, instead of loading MODEL.")
@click.option("--served-model-name", help="The model's name there.  [default: the first]")
@click.option("--lm-eval", is_flag=True, help="Let lm-evaluation-harness ask the questions of the server at URL.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@STORE
@JSON
@command
def eval_(
    model: str | None,
    questions: tuple[Path, ...],
    smoke: bool,
    text: Path | None,
    tokens: int,
    url: str | None,
    served_model_name: str | None,
    lm_eval: bool,
    device: str,
    store: Path | None,
    as_json: bool,
) -> None:
    """Ask MODEL multiple-choice questions and measure perplexity; the result is wxops-eval.json beside its manifest.

    A letter counts by its likelihood after the question. Inputs of a quantized model's layers are rounded as its
    kernels round them. With --url a served model is asked the same; MODEL then says beside which manifest the result
    goes, and lends its tokenizer where the server has no /tokenize.
    """
    from wxruntime.models.evaluate import evaluation, keep
    from wxruntime.models.questions import SMOKE, read_questions
    from wxruntime.models.store import Store, default_store

    if not (model or url):
        raise click.UsageError("name a MODEL, or a server with --url")
    if not (questions or smoke or text):
        raise click.UsageError("say what to measure: --smoke, --questions or --text")
    if lm_eval and (not url or text):
        raise click.UsageError("--lm-eval asks --questions or --smoke of the server at --url")
    directory = Store(store or default_store()).find(model) if model else None
    named = [*((path.name, path) for path in questions), *([("smoke", SMOKE)] if smoke else [])]
    sets = [(name, read_questions(path)) for name, path in named]
    if url:
        how, choices, score = _served(url, served_model_name, directory, lm_eval, sets, text, tokens)
    else:
        assert directory is not None
        how, choices, score = _here(directory, device, sets, text, tokens)
    result: Evaluation = evaluation(how, directory, choices, score)
    kept = keep(directory, result) if directory else None
    if as_json:
        show_json(result.to_json())
    else:
        click.echo("\n".join(result.lines()))
        if kept:
            click.echo(f"kept in {kept}")


def _here(
    directory: Path, device: str, sets: Sets, text: Path | None, tokens: int
) -> tuple[str, list[Choice], Text | None]:
    need("torch", "transformers")
    from wxruntime.models.dequantize import precision_in
    from wxruntime.models.errors import ModelError
    from wxruntime.models.evaluate import Text, ask
    from wxruntime.models.scoring import Scorer
    from wxruntime.models.store import require_checkpoint
    from wxruntime.models.text import WINDOW, read_ids

    if (directory / "model.onnx").is_file():
        raise ModelError(
            "an export for a CPU is measured as it is served",
            where=directory,
            fix="serve it with `wxruntime engine --backend onnx`, and name that server: --url http://127.0.0.1:8000",
        )
    require_checkpoint(directory)
    scorer = Scorer(directory, device, precision_in(directory))
    choices = [ask(scorer, name, asked) for name, asked in sets]
    score = None
    if text:
        found = scorer.score_text(read_ids(text, scorer.tokenizer, tokens), WINDOW)
        score = Text(text.name, found.tokens, found.perplexity)
    return f"in process, on {scorer.device.type}", choices, score


def _served(
    url: str, name: str | None, directory: Path | None, lm_eval: bool, sets: Sets, text: Path | None, tokens: int
) -> tuple[str, list[Choice], Text | None]:
    import math

    from wxruntime.models.evaluate import Text, ask
    from wxruntime.models.harness import ask_by_harness
    from wxruntime.models.served import Served

    served = Served(url, name, directory=directory)
    if lm_eval:
        return "by lm-evaluation-harness", [ask_by_harness(served.url, served.model, *each) for each in sets], None
    choices = [ask(served, label, asked) for label, asked in sets]
    score = None
    if text:
        loss, count = served.score_text(text, tokens)
        score = Text(text.name, count, math.exp(loss))
    by = "" if served.echoes else ", by its likeliest next tokens, since it has no echo"
    return f"over {served.url}, model {served.model}{by}", choices, score
