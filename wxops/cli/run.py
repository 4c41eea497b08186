"""`wxops run PLAYBOOK` and the commands that are playbooks: `wxops provision`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from wxops.cli import completion
from wxops.cli import options as flags
from wxops.errors import InputError

ALL = flags.options(flags.INVENTORY, flags.LIMIT, flags.PLAYBOOK, flags.VARIABLES, flags.CONNECTION, flags.OUTPUT)


@click.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...", shell_complete=completion.files)
@ALL
def run(playbooks: tuple[str, ...], **given: Any) -> int:
    """Run playbooks on the hosts of an inventory.

    Exit codes are ansible-playbook's: 0 fine, 1 error, 2 a host failed, 4 a host was unreachable.
    """
    return execute([Path(name) for name in playbooks], given)


@click.command()
@ALL
def provision(**given: Any) -> int:
    """Prepare hosts and start the inference service: playbooks/provision.yml.

    A playbook of the same name in the project's own playbooks/ comes first.
    """
    return execute([own_or_shared("provision.yml")], given)


def own_or_shared(name: str) -> Path:
    """The project's own playbook of that name, or the one that wxops brings along."""
    own = Path("playbooks") / name
    return own if own.is_file() else flags.shared("playbooks") / name


def execute(playbooks: list[Path], given: dict[str, Any]) -> int:
    """Load everything, then list or run it."""
    from wxops.console.choose import console
    from wxops.engine.run import Project, Run
    from wxops.playbook.inventory import Inventory
    from wxops.playbook.settings import Settings

    missing = next((path for path in playbooks if not path.is_file()), None)
    if missing is not None:
        raise InputError(f"there is no playbook {missing}", fix=_instead_of(missing))
    settings = Settings.load()
    sources = flags.inventory_sources(given.pop("inventory"), settings)
    options = flags.run_options(given, settings)
    project = Project.load(Inventory.load(sources, options.vault), [path.resolve() for path in playbooks], options)
    if given["syntax_check"] or given["list_hosts"] or given["list_tasks"]:
        _list(project, given)
        return 0
    with console(given["output"] or settings.output, options, sys.stdout) as show:
        about = {"inventory": [str(Path(s).resolve()) if "," not in s else s for s in sources]}
        return Run(project, show, flags.records(settings), about, prompt=_ask).execute()


def _instead_of(missing: Path) -> str | None:
    if missing.is_dir():
        return "it is a directory; name a playbook in it"
    there = [str(path) for folder in (missing.parent, Path("playbooks")) for path in sorted(folder.glob("*.y*ml"))]
    return f"there are {', '.join(there[:10])}{', ...' if there[10:] else ''}" if there else None


def _list(project: Any, given: dict[str, Any]) -> None:
    from wxops.console.listing import hosts_of, tasks_of

    for path in project.playbooks:
        click.echo(f"\nplaybook: {path}")
    for number, play in enumerate(project.plays, 1):
        lines = [*hosts_of(project, play, number, given["list_hosts"])]
        if given["list_tasks"]:
            lines += tasks_of(play, project.options)
        if not given["syntax_check"] or given["list_hosts"] or given["list_tasks"]:
            click.echo("\n".join(lines))


def _ask(question: Any) -> str:
    """A question of vars_prompt."""
    answer: str = click.prompt(
        str(question.get("prompt") or question["name"]), default=question.get("default"),
        hide_input=bool(question.get("private", True)), confirmation_prompt=bool(question.get("confirm")), type=str,
    )  # fmt: skip
    return answer
