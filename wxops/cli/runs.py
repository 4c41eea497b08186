"""`wxops runs` and `wxops rollback`: what ran, what it changed, and back."""

from __future__ import annotations

import sys
from typing import Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.cli.group import Group


@click.group(cls=Group)
def runs() -> None:
    """What ran, by whom, with which revision of the playbooks, and what it changed."""


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """All recorded runs, newest last."""
    from wxops.console.past import run_line, runs_table
    from wxops.engine.record import past_runs

    found = past_runs(flags.records())
    click.echo("\n".join(run_line(past) for past in found) if as_json else runs_table(found))


@runs.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="The record as JSON.")
@click.option("-l", "--limit", "host", metavar="HOST", help="Only this host.")
def show(run: str, as_json: bool, host: str | None) -> None:
    """What a run changed on each host, with the diffs."""
    from wxops.console.past import run_details, run_line
    from wxops.engine.record import past_run

    past = past_run(flags.records(), run)
    if as_json:
        click.echo(run_line(past, events=True))
        return
    for line in run_details(past, host, sys.stdout.isatty()):
        click.echo(line)


@click.command()
@click.argument("run", required=False, shell_complete=completion.runs)
@flags.options(flags.INVENTORY, flags.LIMIT, flags.VARIABLES, flags.CONNECTION, flags.OUTPUT)
@click.option("-C", "--check", is_flag=True, help="Change nothing; say what would be taken back.")
@click.option("-D", "--diff", is_flag=True, help="Show what changes.")
@click.option("--force", is_flag=True, help="Also set back what somebody else has changed since.")
def rollback(run: str | None, force: bool, **given: Any) -> int:
    """Take RUN back on its hosts; without RUN the last one that changed something.

    All hosts are looked at before the first is touched. What somebody else has changed since, and commands that name no
    inverse, are listed first. A rollback is a run itself: it can be taken back too.
    """
    from wxops.console.choose import console
    from wxops.engine.record import past_run
    from wxops.engine.rollback import Rollback
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.settings import Settings

    settings, directory = Settings.load(), flags.records()
    past = past_run(directory, run, elsewhere=True)
    sources = given.pop("inventory") or past.about.get("inventory")
    if sources is None:  # none at all is that of a run that was for localhost alone
        sources = flags.inventory_sources((), settings)
    options = flags.run_options(given, settings)
    flags.tell_notices(settings)
    with console(given["output"] or settings.output, options, sys.stdout) as show_event:
        return Rollback(
            past, Inventory.load(list(sources), options.vault), options, show_event, directory, force
        ).execute()
