"""A task's command starts another run against the host that the task's own run holds, as scripts do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.module_case import ManagedHost, Played
from wxops.lab.host import Host

WXOPS = Path(sys.executable).with_name("wxops")


@pytest.fixture
def nesting(managed: ManagedHost, host: Host, monkeypatch: pytest.MonkeyPatch) -> ManagedHost:
    """A fresh host, and a playbook inner.yml that changes it, too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(managed.folder))
    text = {"copy": {"content": "inner", "dest": "/srv/nested"}}
    (managed.folder / "inner.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [text]}])
    )
    return managed


def play(nesting: ManagedHost, before: str = "", *after: dict[str, Any]) -> Played:
    """A run that changes the host, lets a command here start the other run, and goes on."""
    line = f"{before} {WXOPS} run {nesting.folder}/inner.yml -i {nesting.inventory} -l {nesting.host.name}"
    return nesting.play([
        {"copy": {"content": "outer", "dest": "/srv/nested"}},
        {"command": line, "delegate_to": "localhost"},
        *after,
    ])  # fmt: skip


def nested_run(nesting: ManagedHost) -> str:
    return next((nesting.folder / "wxops" / "runs").iterdir()).name


def test_a_run_that_a_task_starts_may_change_its_host(nesting: ManagedHost) -> None:
    played = play(nesting, "", {"command": "cat /srv/nested"})
    assert played.statuses == ["changed"] * 3, played.told()
    assert played.results[-1].result["stdout"] == "inner"


def test_one_that_does_not_say_whose_task_it_is_may_not(nesting: ManagedHost) -> None:
    played = play(nesting, "env -u WXOPS_WITHIN")
    assert played.statuses == ["changed", "failed"]
    assert f"another run holds this host: {played.run}" in played.results[-1].result["stdout"]


def test_they_are_taken_back_in_the_order_that_a_rollback_says(nesting: ManagedHost) -> None:
    outer, inner = play(nesting).run, nested_run(nesting)
    refused = nesting.rollback(outer)
    assert refused.exit_code == 2 and f"changed by run {inner} since, which could be taken back first" in refused.told()
    record = nesting.folder / "runs" / inner
    record.symlink_to(nesting.folder / "wxops" / "runs" / inner)
    assert nesting.rollback(inner).exit_code == 0 and (nesting.host.root / "srv/nested").read_text() == "outer"
    assert nesting.rollback(outer).exit_code == 0 and not (nesting.host.root / "srv/nested").exists()
