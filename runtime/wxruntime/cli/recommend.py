"""`wxruntime recommend`: which of a profile's precisions the load of now calls for. It changes nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from wxruntime.cli.check import Refused, host_of, models_of
from wxruntime.cli.profile_options import against


@click.command()
@click.argument("file", metavar="PROFILE", type=click.Path(path_type=Path))
@click.option("--url", "urls", multiple=True, required=True, help="A replica on the host; repeat it for each.")
@click.option("--now", "current", metavar="PRECISION", required=True, help="In what they run.")
@against
@click.option("--samples", type=click.IntRange(min=1), default=5, show_default=True,
              help="Looks at their load, a second apart; the busiest counts.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def recommend(file: Path, urls: tuple[str, ...], current: str, samples: int, as_json: bool, **options: Any) -> None:
    """Say which precision of PROFILE fits the memory and the load of now, and why.

    The first of the list that holds what runs and waits; a larger one than now only if it holds half as much again.
    """
    from wxruntime.profile.advice import advise
    from wxruntime.profile.plan import plan, possible
    from wxruntime.profile.seen import NotTold, busiest, look

    models, host = models_of(options["models"]), host_of(options["facts"], options["host_name"], options["here"])
    if host is None or not models:
        raise click.UsageError("memory is reckoned for a host and a model: --here or --host FACTS, and --model DIR")
    sketch = plan(file, models)
    if sketch.profile is None or sketch.mistakes:
        raise Refused(map(str, sketch.mistakes))
    choices, shapes, _ = possible(sketch.profile, models)
    if current not in choices:
        raise Refused([f"--now: {current} is not among {', '.join(choices)}"])
    try:
        seen = busiest([_look(urls, number, look) for number in range(samples)])
    except NotTold as error:
        raise click.ClickException(str(error)) from None
    advice = advise(sketch.profile, shapes, choices, host, current, seen)
    running, waiting, load = sum(each.running for each in seen), sum(each.waiting for each in seen), advice.load
    if as_json:
        told = {"precision": advice.precision, "now": current, "why": advice.why, "running": running,
                "waiting": waiting, **load.model_dump(), "holds": advice.holds}  # fmt: skip
        click.echo(json.dumps(told))
        return
    click.echo(
        f"{len(urls)} in {current}: {running} run, {waiting} wait; {load.sequences} each, of {load.tokens} tokens"
    )
    click.echo("one holds " + ", ".join(f"{count} of them in {each}" for each, count in advice.holds.items()))
    command = f": wxruntime switch {file} --to {advice.precision}" if advice.precision != current else ""
    click.echo(f"{advice.why}{command}")


def _look(urls: tuple[str, ...], number: int, look: Any) -> list[Any]:
    if number:
        time.sleep(1.0)
    return [look(url.rstrip("/")) for url in urls]
