"""`[defaults] gathering`: which plays ask for facts when they do not say so themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.engine.events import Event, TaskStarted
from wxops.engine.options import RunOptions
from wxops.engine.run import Project, Run
from wxops.playbook.inventory import Inventory

PLAYS = """
- {name: unsaid, hosts: all}
- {name: wanted, hosts: all, gather_facts: true}
- {name: unwanted, hosts: all, gather_facts: false}
- {name: again, hosts: all}
"""


@pytest.mark.parametrize(
    ("gathering", "plays"),
    [
        ("implicit", ["unsaid", "wanted", "again"]),
        ("explicit", ["wanted"]),
        ("smart", ["unsaid"]),
    ],
)
def test_facts_are_asked_for_as_the_setting_says(tmp_path: Path, gathering: str, plays: list[str]) -> None:
    (tmp_path / "site.yml").write_text(PLAYS)
    options = RunOptions(connection="local", gathering=gathering)
    project = Project.load(Inventory.load(["h,"]), [tmp_path / "site.yml"], options)
    events: list[Event] = []
    assert Run(project, events.append, tmp_path / "runs").execute() == 0
    assert [event.play for event in events if isinstance(event, TaskStarted)] == plays
