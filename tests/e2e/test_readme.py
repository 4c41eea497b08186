"""README.md is true: its commands give what it shows, on a real host; its links and its table name what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tests.e2e.documents import ROOT, files, links, shell_lines, steps
from wxops.cli.main import cli
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.scaffold import write_project

README = "README.md"
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/protocol.md"]


@pytest.fixture
def project(lab: Lab, host: Host, tmp_path: Path) -> Path:
    """A new project with the README's playbooks, whose gpu1 is a lab host."""
    write_project(tmp_path)
    variables = yaml.safe_load(lab.inventory.read_text())["all"]["vars"]
    inventory = {"gpu": {"hosts": {"gpu1": {**variables, "ansible_host": str(host.address)}}}}
    (tmp_path / "inventories" / "hosts.yml").write_text(yaml.safe_dump(inventory))
    for name, text in files(README).items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.lab
def test_its_commands_print_what_it_shows(project: Path) -> None:
    bin_directory = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_directory}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    shown, printed = Names(), Names()
    assert len(steps(README)) >= 5
    for step in steps(README):
        done = subprocess.run(step.command, shell=True, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert printed.plain(done.stdout) == shown.plain(step.shown), step.command


class Names:
    """Puts what differs from run to run out of the way: a run's id becomes its number, a time TIME."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def plain(self, text: str) -> list[str]:
        text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", self._number, text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)
        return [" ".join(line.split()) for line in text.splitlines()]

    def _number(self, found: re.Match[str]) -> str:
        return f"RUN{self._numbers.setdefault(found.group(), len(self._numbers) + 1)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    missing = [link for link in links(document) if not ((ROOT / document).parent / link).exists()]
    assert missing == []


def commands(group: click.Group, name: str = "wxops") -> Iterator[str]:
    context = click.Context(group)
    for part in group.list_commands(context):
        command = group.get_command(context, part)
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{name} {part}"


def test_its_table_has_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| `(wxops [^`]*)`", (ROOT / README).read_text(), re.MULTILINE)
    assert sorted(re.sub(r" [A-Z[].*", "", row) for row in rows) == sorted(commands(cli))


@pytest.mark.parametrize("line", [line for line in shell_lines(README) if line.startswith("wxops")])
def test_the_command_line_takes_what_it_tells_to_type(line: str) -> None:
    words = shlex.split(line.partition("&&")[0])[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(line, list(words))


def test_make_has_the_targets_that_it_names() -> None:
    named = set(re.findall(r"make (\w+)", (ROOT / README).read_text()))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
