"""`wxops drift PLAYBOOK`: what on the hosts is no longer as the last run left it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.cli.run import load


@click.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...", shell_complete=completion.files)
@flags.options(flags.INVENTORY, flags.LIMIT, flags.VARIABLES, flags.CONNECTION)
@click.option("-t", "--tags", multiple=True, metavar="TAGS", help="Only tasks with these tags.")
@click.option("--skip-tags", multiple=True, metavar="TAGS", help="Not the tasks with these tags.")
@click.option("--output", type=click.Choice(["text", "json", "jsonl"]), default="text", show_default=True)
def drift(playbooks: tuple[str, ...], output: str, **given: Any) -> int:
    """Report what is no longer as the last run left it.

    The playbooks are checked, and the journals on the hosts are asked: each thing is named with its difference, the run
    that set it, and whether it was changed on the host or the playbook has changed. Nothing is changed. Exits with 0
    when nothing drifted, 2 when something did, 4 when a host was unreachable, 1 when a check failed.
    """
    from wxops.console.drift_report import as_json, json_lines, lines
    from wxops.engine.drift import find_drift
    from wxops.playbook.settings import Settings

    settings = Settings.load()
    project, sources = load([Path(name) for name in playbooks], given, settings)
    flags.tell_notices(settings)
    about = {"inventory": [str(Path(s).resolve()) if "," not in s else s for s in sources]}
    report = find_drift(project, flags.records(settings), about)
    if output == "json":
        click.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False, default=str))
    else:
        shown = json_lines(report) if output == "jsonl" else lines(report, sys.stdout.isatty())
        for line in shown:
            click.echo(line)
    return report.exit_code
