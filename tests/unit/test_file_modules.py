"""The file modules on the host: what each case promises, and that it is checked, repeatable and taken back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.module_data import UNCHANGED, Case, all_cases, at, build, differences, part_of, snapshot
from tests.web_server import web_server
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules import rollback
from wxops.agent.others import Others

MODULES = (
    "assemble",
    "blockinfile",
    "command",
    "copy",
    "file",
    "find",
    "get_url",
    "getent",
    "known_hosts",
    "lineinfile",
    "ping",
    "replace",
    "shell",
    "slurp",
    "stat",
    "unarchive",
    "uri",
    "wait_for",
    "yum_repository",
)


def conflicts(change: Change, journal: Journal) -> list[str]:
    """What a rollback of a run would refuse to set back."""
    steps = journal.steps()
    return rollback._conflicts(change, journal, steps, Others(journal, steps, change.journal.run))


class HostOfOne:
    """Runs modules on this machine, each in a run of its own with its journal beside the tree."""

    def __init__(self, home: Path, server: str) -> None:
        self.root, self.home, self.server = home / "tree", home, server
        self.runs = itertools.count()
        self.journals: list[Journal] = []

    def run(self, case: Case, check: bool = False) -> dict[str, Any]:
        journal = Journal(f"run-{next(self.runs)}", root=str(self.home))
        change = Change(View(), journal, check=check)
        try:
            result = getattr(import_module(f"wxops.agent.modules.{case.module}"), case.module)(
                change, **self.filled_in(case.args)
            )
        except ModuleFailure as failure:
            result = {**failure.result, "failed": True}
        self.journals.append(journal)
        return {**result, "changed": result.get("changed", change.changed), "warnings": change.warnings}

    def filled_in(self, value: Any) -> Any:
        return at(self.root, value, self.server)

    def take_all_back(self) -> None:
        for journal in reversed(self.journals):
            change = Change(View(), Journal(f"back-{next(self.runs)}", root=str(self.home)))
            steps = journal.steps()
            assert conflicts(change, journal) == []
            rollback._take_back(change, journal, steps)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with web_server() as address:
        yield address


@pytest.fixture
def host(tmp_path: Path, server: str) -> HostOfOne:
    os.umask(0o022)
    return HostOfOne(tmp_path, server)


@pytest.mark.parametrize("case", all_cases(*MODULES), ids=lambda case: case.id)
def test_case(case: Case, host: HostOfOne) -> None:
    build(host.root, case.before)
    before = snapshot(host.root)

    predicted = host.run(case, check=True)
    assert snapshot(host.root) == before, "the check changed something"

    result = host.run(case)
    assert bool(result.get("failed")) == (case.failed is not None), result
    assert (case.failed or "") in result.get("msg", "")
    assert part_of(result, case.result) == host.filled_in(case.result)
    assert any((case.warns or "") in warning for warning in [*result["warnings"], ""])
    assert result["changed"] == case.changes
    if case.checked == "skipped":
        assert predicted["skipped"] and not predicted["changed"]
    else:
        assert predicted["changed"] == result["changed"]
        assert bool(predicted.get("failed")) == bool(result.get("failed")), predicted
    if case.after is UNCHANGED:
        assert snapshot(host.root) == before
    else:
        assert differences(host.root, case.after) == []

    if case.failed is None:
        done = snapshot(host.root)
        assert host.run(case)["changed"] == case.again, "the second run"
        assert case.again or snapshot(host.root) == done
    host.take_all_back()
    assert snapshot(host.root) == before, "not as it was before"
