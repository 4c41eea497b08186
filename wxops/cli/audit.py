"""`wxops audit`: whether what is on GPU hosts works together, is healthy, and which one change mends what does not."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.cli.group import Group

if TYPE_CHECKING:
    from wxops.audit.baseline import HostChanges
    from wxops.audit.demand import Demand
    from wxops.audit.knowledge import Knowledge
    from wxops.audit.published_image import PublishedImage
    from wxops.audit.report import Audit
    from wxops.audit.saved import SavedAudit

FILE: dict[str, Any] = {"is_flag": False, "flag_value": "-", "metavar": "[FILE]", "shell_complete": completion.files}
"""An output: to a file that is named, else to standard output."""
ENGINES, PRECISIONS = ("vllm", "fastdeploy", "transformers"), ("bf16", "fp16", "fp8", "int8", "int4")
FORMATS = ("as_json", "junit", "sarif", "html", "prometheus")
HOSTS = [flags.INVENTORY, flags.LIMIT, *flags.VARIABLES, *flags.CONNECTION]
LOOK = [
    click.option("--deep", is_flag=True, help="Import each PyTorch too, and compute on each GPU with it."),
    click.option(
        "--environment", "environments", multiple=True, metavar="PATH",
        help="A virtual environment on the hosts to look for PyTorch in; may repeat.",
    ),
]  # fmt: skip
JUDGE = [
    click.option(
        "--policy", "policies", multiple=True, metavar="NAME|FILE", shell_complete=completion.files,
        help="What is asked of versions: guide, vllm-0.33, fastdeploy-2.5, ... or a file; may repeat (guide).",
    ),
    click.option(
        "--image", "images", multiple=True, metavar="REF",
        help="An image that is to be deployed: asked of its registry, judged on every host; may repeat.",
    ),
    click.option("--for", "model", metavar="MODEL", help="Can the hosts serve it? A name or a directory."),
    click.option("--engine", type=click.Choice(ENGINES), help="What is to serve it (vllm)."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Of its weights (bf16)."),
    click.option("--context", type=click.IntRange(1), metavar="TOKENS", help="The longest sequence (8192)."),
    click.option("--sequences", type=click.IntRange(1), metavar="N", help="Sequences at the same time (16)."),
    click.option("--gpus", type=click.IntRange(1), metavar="N", help="GPUs a replica may take (as many as it needs)."),
]  # fmt: skip
STRICT = click.option("--strict", is_flag=True, help="Warnings count as failures.")
SHOW = [
    click.option("--json", "as_json", **FILE, help="As JSON; `wxops audit schema` prints its schema."),
    click.option("--junit", **FILE, help="As JUnit's XML."),
    click.option("--sarif", **FILE, help="As SARIF 2.1.0."),
    click.option("--html", **FILE, help="As one page that needs nothing else."),
    click.option("--prometheus", **FILE, help="As a file for node_exporter's textfile collector."),
    click.option("--save", type=click.Path(dir_okay=False), metavar="FILE", help="Keep it, for a later --baseline."),
    click.option(
        "--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="Tell what changed since that one was kept."
    ),
    click.option("-v", "--verbose", count=True, help="Show what passed, was skipped or is not supported, too."),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing when there is nothing to act on."),
    STRICT,
]


@click.group(cls=Group, invoke_without_command=True)
@flags.options(HOSTS, JUDGE, LOOK, SHOW)
@click.pass_context
def audit(context: click.Context, /, **given: Any) -> int:
    """Say for every host whether driver, CUDA, cuDNN, PyTorch, containers and GPUs work together and are healthy.

    Nothing is changed or left on the hosts. Exits with 0 when nothing failed, 2 when something did, 3 when something
    could not be determined (a host that does not answer, too), 1 for wrong usage.
    """
    if context.invoked_subcommand is not None:
        return 0
    known = _knowledge(given)
    before = _baseline(given["baseline"])
    _outputs_are_apart(given)
    _outputs_can_be_written(given)
    found = _audit(known, given)
    _show(found, before, given)
    return found.exit_code(given["strict"])


def _knowledge(given: dict[str, Any]) -> Callable[[], Knowledge]:
    """The tables, the policies and the model that are asked for; wrong ones are refused before a host is asked.

    Where only wxops's own are asked for, they are read while the hosts answer.
    """
    policies, demand = given["policies"], _demand(given)

    @functools.cache
    def known() -> Knowledge:
        from wxops.audit.knowledge import Knowledge

        return Knowledge.of(policies or ("guide",), demand)

    if policies or demand:
        known()
    return known


def _demand(given: dict[str, Any]) -> Demand | None:
    from wxops.errors import InputError

    names = ("engine", "precision", "context", "sequences", "gpus")
    told = {name: given[name] for name in names if given[name] is not None}
    if given["model"] is None:
        if told:
            raise InputError(f"--{next(iter(told))} says how a model is to be served", fix="name the model with --for")
        return None
    from wxops.audit.demand import Demand

    return Demand(given["model"], **told)


def _baseline(path: str | None) -> Any:
    if not path:
        return None
    from wxops.audit import saved

    return saved.load(Path(path))


def _outputs_are_apart(given: dict[str, Any]) -> None:
    from wxops.errors import InputError

    names = [name for name in FORMATS if given[name] == "-"]
    if len(names) > 1:
        told = " and ".join(f"--{name.removeprefix('as_')}" for name in names)
        raise InputError(f"{told} both go to standard output", fix="name a file for all but one of them")


def _outputs_can_be_written(given: dict[str, Any]) -> None:
    """Asked before the hosts are: an audit of a fleet is not to be lost for a wrong path."""
    from wxops.errors import InputError

    for name in (*FORMATS, "save"):
        target = given[name]
        if target is None or (target == "-" and name != "save"):
            continue
        path, why = Path(target), ""
        try:
            os.stat(path.parent / ".")
        except OSError as error:
            why = error.strerror or str(error)
        if not path.name or path.is_dir():
            why = "it is a folder" if target else "it has no name"
        elif not why and not path.exists() and not os.access(path.parent, os.W_OK):
            why = "Permission denied"
        if why:
            raise InputError(
                f"{target or repr(target)} cannot be written: {why}", fix="name a file in a folder of yours"
            )


def _audit(known: Callable[[], Knowledge], given: dict[str, Any]) -> Audit:
    from wxops.audit.run import audit_hosts
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.settings import Settings

    settings = Settings.load()
    options = flags.run_options(given, settings)
    inventory = Inventory.load(flags.inventory_sources(given["inventory"], settings), options.vault)
    hosts = [host.name for host in inventory.require_hosts("all", options.limit)]
    asked = {"deep": given["deep"], "environments": list(given["environments"])}
    arguments = {name: value for name, value in asked.items() if value}
    return audit_hosts(inventory, hosts, options, known, arguments, _images(given["images"]))


def _images(names: tuple[str, ...]) -> list[PublishedImage]:
    """As their registries have them; asked before the hosts are."""
    if not names:
        return []
    from wxops.audit.published_image import published

    return [published(name) for name in dict.fromkeys(names)]


def _show(found: Audit, before: Any, given: dict[str, Any]) -> None:
    texts = _texts(found, given)
    for target, text in texts.items():
        _write(target, text)
    if given["save"]:
        _write(given["save"], _text("as_json", found, given["strict"]))
    changes = _changes(found, before, bool(given["limit"])) if before is not None else ()
    if given["quiet"] and not found.exit_code(strict=True) and not any(change.worse for change in changes):
        return
    document = "-" in texts  # then what is for people goes beside it
    color = (sys.stderr if document else sys.stdout).isatty()
    if not document:
        from wxops.console import audit_table

        for line in audit_table.lines(found, color, bool(given["verbose"]), _width()):
            click.echo(line)
    if before is not None:
        from wxops.console import audit_changes

        for line in (f"\nSince {before.started}:", *audit_changes.lines(changes, color)):
            click.echo(line, err=document)


def _width() -> int | None:
    """The terminal's, to break lines at; None for a pipe, in which a finding is a line."""
    return shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else None


def _changes(found: Audit, before: SavedAudit, limited: bool) -> tuple[HostChanges, ...]:
    """limited: not all hosts were asked; those that were not are not gone."""
    from wxops.audit import baseline, saved

    asked = {host.host for host in found.hosts}
    then = tuple(host for host in before.hosts if not limited or host.host in asked)
    return baseline.compare(replace(before, hosts=then), saved.saved(found))


def _texts(found: Audit, given: dict[str, Any]) -> dict[str, str]:
    """Target -> text, for each format that is asked for; the others are not even imported."""
    return {given[name]: _text(name, found, given["strict"]) for name in FORMATS if given[name]}


def _text(name: str, found: Audit, strict: bool) -> str:
    if name == "as_json":
        from wxops.audit import saved

        return saved.to_json(found) + "\n"
    shown = import_module(f"wxops.console.audit_{name}")
    text: str = shown.text(found, strict) if name == "junit" else shown.text(found)
    return text


def _write(target: str, text: str) -> None:
    """Whole or not at all: a collector that reads meanwhile sees the file before or after. A device is written to."""
    from wxops.errors import InputError

    if target == "-":
        click.echo(text, nl=False)
        return
    path = Path(os.path.realpath(target))  # where a link leads, which stays one
    draft = path.with_name(f".{path.name}.draft")
    try:
        if path.exists() and not path.is_file():  # /dev/stdout is not to be replaced; a folder says what is wrong
            path.write_text(text, encoding="utf-8")
            return
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise InputError(f"{target} cannot be written: {error.strerror}") from None


@audit.command()
@flags.options(HOSTS, JUDGE)
@click.option("--to", "wanted", multiple=True, metavar="NAME=VERSION", help="driver, cuda, cudnn or torch; may repeat.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@flags.options([STRICT])
def plan(wanted: tuple[str, ...], as_json: bool, strict: bool, **given: Any) -> int:
    """Say which upgrades, in which order, make every rule hold: the smallest set, with reboots marked.

    Nothing is changed. Exits with 2 where something remains that no upgrade mends, 3 where something could not be
    determined (a host that does not answer, too).
    """
    from wxops.audit.plan import plan as plan_for
    from wxops.audit.plan import targets
    from wxops.audit.report import EXIT_FAILED, EXIT_UNKNOWN
    from wxops.console import audit_plan

    known, aims = _knowledge(given), targets(wanted)
    found = _audit(known, {**given, "deep": False, "environments": ()})
    plans = [plan_for(host.record, known(), aims, strict) for host in found.hosts if host.record is not None]
    silent = [host for host in found.hosts if host.record is None]
    for line in (
        [audit_plan.as_json(plans, silent)] if as_json else audit_plan.lines(plans, silent, sys.stdout.isatty())
    ):
        click.echo(line)
    codes = {each.exit_code for each in plans} | ({EXIT_UNKNOWN} if silent else set())
    return next((code for code in (EXIT_FAILED, EXIT_UNKNOWN) if code in codes), 0)


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def rules(as_json: bool) -> None:
    """List the rules: what each checks, and how grave it is when it does not hold."""
    from wxops.console.audit_rules import as_data, lines

    for line in [as_data()] if as_json else lines():
        click.echo(line)


@audit.command()
@click.argument("rule", shell_complete=completion.audit_rules)
def explain(rule: str) -> None:
    """Say what RULE checks, why, and where that is written."""
    from wxops.audit.rule import rule_named
    from wxops.console.audit_rules import explained

    for line in explained(rule_named(rule)):
        click.echo(line)


@audit.command()
def schema() -> None:
    """Print the JSON Schema of what --json and --save write."""
    import json

    from wxops.audit import saved

    click.echo(json.dumps(saved.schema(), indent=2))
