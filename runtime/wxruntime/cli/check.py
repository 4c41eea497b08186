"""`wxruntime check`: what a file comes to, before anything is started by it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import click
import yaml

from wxruntime.cli.profile_options import against

PROFILE, GATEWAY = "an engine's profile", "a gateway's configuration"
# The key at the top of a file by which it is known.
KINDS = {"engine": PROFILE, "models": GATEWAY}


class Refused(click.ClickException):
    """Sentences that say what is wrong; nothing was started."""

    exit_code = 2

    def __init__(self, sentences: Iterable[str]) -> None:
        super().__init__("\n".join(sentences))

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@against
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(
    file: Path, models: tuple[str, ...], facts: str | None, host_name: str | None, here: bool, as_json: bool
) -> None:
    """Say everything that is wrong with FILE, an engine's profile or a gateway's configuration, each with its line.

    Exits with 0 and what is run, or with 2.
    """
    if _kind(file) == GATEWAY:
        _gateway(file)
    else:
        _profile(file, models, facts, host_name, here, as_json)


def _kind(file: Path) -> str:
    """By its top key. A file that cannot be read is looked at as a profile, and told what is wrong."""
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return PROFILE
    return next((kind for key, kind in KINDS.items() if isinstance(raw, dict) and key in raw), PROFILE)


def _gateway(file: Path) -> None:
    from wxruntime.document import DocumentError
    from wxruntime.gateway.config_file import check as checked

    try:
        click.echo(checked(file))
    except DocumentError as error:
        raise Refused(map(str, error.mistakes)) from None


def _profile(
    file: Path, models: tuple[str, ...], facts: str | None, host_name: str | None, here: bool, as_json: bool
) -> None:
    from wxruntime.profile.plan import plan

    found, host = models_of(models), host_of(facts, host_name, here)
    result = plan(file, found, host)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
        sys.exit(2 if result.mistakes else 0)
    for warning in result.warnings:
        click.echo(f"{warning} (a warning)", err=True)
    if result.mistakes:
        raise Refused(map(str, result.mistakes))
    _show(result)


def models_of(names: tuple[str, ...]) -> dict[Any, Any]:
    """The checkpoints of --model. Refused for what is none."""
    from wxruntime.profile.checkpoints import ModelError, look

    try:
        return {precision: look(name) for precision, name in map(_named, names)}
    except ModelError as error:
        raise Refused([str(error)]) from None


def host_of(facts: str | None, name: str | None, here: bool) -> Any:
    """The host of --host or --here; None where neither is given. Refused for facts that cannot be had."""
    from wxruntime.profile.host import HostError, from_facts, this_machine

    if here and facts:
        raise click.UsageError("--here and --host name two hosts")
    try:
        return this_machine() if here else from_facts(_text(facts), facts, name) if facts else None
    except HostError as error:
        raise Refused([str(error)]) from None


def _named(text: str) -> tuple[Any, str]:
    """int4=DIR, or DIR."""
    from wxruntime.sizing import BYTES

    precision, equals, name = text.partition("=")
    return (precision, name) if equals and precision in BYTES else (None, text)


def _text(facts: str) -> str:
    from wxruntime.profile.host import HostError

    try:
        return sys.stdin.read() if facts == "-" else Path(facts).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"{facts} cannot be read: {error}") from None


def _show(result: Any) -> None:
    profile = result.profile
    version = f" {profile.version}" if profile.version else ""
    model = result.model.shape.name if result.model else profile.model
    click.echo(f"{result.file}: {profile.engine}{version} serves {model} in {result.choice.precision}")
    click.echo(f"memory: {result.memory}")
    for each in result.commands:
        where = f"host {each.node} ({profile.multi_node.addresses[each.node]})" if profile.multi_node else "run"
        click.echo(f"{where}: {each.line}")
