"""`wxops run PLAYBOOK` and the commands that are playbooks: `wxops provision`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wxops import __version__
from wxops.cli import completion
from wxops.cli import options as flags
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.engine.options import RunOptions
    from wxops.engine.run import Project

ALL = flags.options(flags.INVENTORY, flags.LIMIT, flags.PLAYBOOK, flags.VARIABLES, flags.CONNECTION, flags.OUTPUT)
LISTINGS = ("syntax_check", "list_hosts", "list_tasks", "list_tags")


@click.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...", shell_complete=completion.files)
@ALL
@click.version_option(__version__, prog_name="wxops run")
def run(playbooks: tuple[str, ...], **given: Any) -> int:
    """Run playbooks on the hosts of an inventory.

    Takes ansible-playbook's flags. Exit codes are ansible-playbook's too: 0 fine, 1 error, 2 a host failed, 4 a host
    was unreachable.
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
    from wxops.engine.run import Run
    from wxops.playbook.settings import Settings

    settings = Settings.load()
    listed = any(given[name] for name in LISTINGS)
    if listed:
        given.update(ask_pass=False, ask_become_pass=False)  # nobody logs in
        settings = dataclasses.replace(settings, ask_pass=False, ask_become_pass=False)
    project, sources = load(playbooks, given, settings)
    options = project.options
    if listed:
        _list(project, playbooks, given)
        return 0
    flags.tell_notices(settings)
    step = _asked if given["step"] else None
    ask = _ask if sys.stdin.isatty() else None
    with console(given["output"] or settings.output, options, sys.stdout, settings) as show:
        about = {"inventory": [str(Path(s).resolve()) if "," not in s else s for s in sources]}
        return Run(project, show, flags.records(settings), about, prompt=ask, step=step).execute()


def load(playbooks: list[Path], given: dict[str, Any], settings: Any) -> tuple[Project, list[str]]:
    """The project that the flags name, and its inventories as they were named."""
    from wxops.engine.run import Project
    from wxops.playbook.inventory import Inventory

    missing = next((path for path in playbooks if not path.exists() or path.is_dir()), None)
    if missing is not None:
        raise InputError(f"there is no playbook {missing}", fix=_instead_of(missing))
    sources = list(given["inventory"] or settings.inventory)
    options: RunOptions = flags.run_options(given, settings)
    inventory = Inventory.load(sources, options.vault)
    project = Project.load(inventory, [path.resolve() for path in playbooks], options)
    if not sources and not _needs_none(project):
        flags.inventory_sources((), settings)
    return project, sources


def _needs_none(project: Project) -> bool:
    """Is a playbook for localhost alone, or for hosts that it may make itself?"""
    for play in project.plays:
        if not project.hosts(play):
            return False
        if any(task.module in ("add_host", "include_tasks", "include_role") for task in play.tasks()):
            return True
    return bool(project.plays)


def _instead_of(missing: Path) -> str | None:
    if missing.is_dir():
        return "it is a directory; name a playbook in it"
    there = [str(path) for folder in (missing.parent, Path("playbooks")) for path in sorted(folder.glob("*.y*ml"))]
    return f"there are {', '.join(there[:10])}{', ...' if there[10:] else ''}" if there else None


def _list(project: Project, playbooks: list[Path], given: dict[str, Any]) -> None:
    """--list-tags without tags of the operator's own lists all, also those that never run by themselves."""
    from wxops.console.listing import listing

    options = project.options
    if given["list_tags"] and not (options.tags or options.skip_tags):
        options = dataclasses.replace(options, tags=frozenset({"never", "all"}))
    shown = {name: given[f"list_{name}"] for name in ("hosts", "tasks", "tags")}
    for line in listing(project, list(map(str, playbooks)), options, **shown):
        click.echo(line)


def _asked(question: str) -> str:
    """A question of --step."""
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer


def _ask(text: str, private: bool) -> str:
    """A question of vars_prompt."""
    try:
        typed: str = click.prompt(text, default="", show_default=False, prompt_suffix="", hide_input=private, err=True)
    except click.Abort:
        raise KeyboardInterrupt from None
    return typed
