"""Keywords say how a host is reached only where no variable does, in the order of precedence of ansible-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.module_case import Played
from wxops.engine.options import RunOptions
from wxops.engine.run import Project, Run
from wxops.playbook.inventory import Inventory

PLAY = """
- hosts: all
  gather_facts: false
  {keyword}
  tasks:
    - ping:
"""


def played(folder: Path, variables: str, keyword: str) -> Played:
    (folder / "hosts.ini").write_text(f"h1 ansible_host=127.0.0.1 ansible_timeout=2 {variables}\n")
    (folder / "play.yml").write_text(PLAY.format(keyword=keyword))
    project = Project.load(Inventory.load([str(folder / "hosts.ini")]), [folder / "play.yml"], RunOptions())
    events: list[Any] = []
    run = Run(project, events.append, folder / "runs")
    return Played(run.run, run.execute(), events)


@pytest.mark.parametrize(
    ("variables", "keyword", "code"),
    [
        ("", "connection: local", 0),
        ("ansible_connection=local", "connection: ssh", 0),
        ("ansible_connection=ssh ansible_port=1", "connection: local", 4),
        ("ansible_connection=ssh ansible_port=1", "port: 22", 4),
    ],
)
def test_a_variable_wins(tmp_path: Path, variables: str, keyword: str, code: int) -> None:
    result = played(tmp_path, variables, keyword)
    assert result.exit_code == code, result.told()
    if code:
        assert "127.0.0.1:1 " in result.told()
