"""`wxops drift`: what somebody changed on a host is named, with the difference and the run that had set it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.lab.module_case import ManagedHost, differences
from wxops.cli.drift import drift as drift_command
from wxops.engine.drift import Report, find_drift
from wxops.engine.options import RunOptions
from wxops.engine.run import Project
from wxops.playbook.inventory import Inventory

TASKS: list[dict[str, Any]] = [
    {"name": "A directory", "file": {"path": "/srv/drift", "state": "directory", "mode": "0750"}},
    {"name": "A file", "copy": {"content": "one\n", "dest": "/srv/drift/file"}},
    {"name": "Several", "copy": {"content": "{{ item }}\n", "dest": "/srv/drift/{{ item }}"}, "loop": ["a", "b"]},
    {"name": "A service", "systemd_service": {"name": "cron", "state": "started", "enabled": True}},
    {"name": "Tell", "debug": {"msg": "always the same"}, "changed_when": True, "notify": "handler"},
    {"name": "A secret", "copy": {"content": "s3cret\n", "dest": "/srv/drift/secret"}, "no_log": True},
]
HANDLERS = [{"name": "handler", "command": "true"}]


@pytest.fixture
def place(managed: ManagedHost) -> Iterator[ManagedHost]:
    yield managed
    managed.host.ssh("rm -rf /srv/drift; systemctl start cron")


def apply(managed: ManagedHost, tasks: Any = None) -> str:
    played = managed.play(tasks or [task for task in TASKS if task["name"] != "Tell"], handlers=HANDLERS)
    assert played.exit_code == 0, played.told()
    return played.run


def drift(managed: ManagedHost, records: str = "runs", **options: Any) -> Report:
    chosen = RunOptions(**{"limit": managed.host.name, **options})
    project = Project.load(Inventory.load([managed.inventory]), [managed.folder / "play.yml"], chosen)
    return find_drift(project, managed.folder / records, {})


def test_a_host_as_it_was_left_has_no_drift_and_is_not_touched(place: ManagedHost) -> None:
    apply(place)
    before = place.tree()
    report = drift(place)
    assert report.exit_code == 0 and report.hosts[place.host.name].status == "none"
    assert differences(before, place.tree()) == []


def test_what_was_changed_is_named_with_its_difference_and_the_run_that_set_it(place: ManagedHost) -> None:
    run = apply(place)
    place.host.ssh("cd /srv/drift && echo two > file && rm b && chmod 700 . && systemctl stop cron")
    for records in ("runs", "another controller's"):
        report = drift(place, records)
        assert report.exit_code == 2
        found = {each.name: each for each in report.hosts[place.host.name].drifted}
        assert {"/srv/drift", "/srv/drift/file", "/srv/drift/b"} < set(found) and len(found) == 4
        assert next(each for name, each in found.items() if "cron" in name).task == "A service"
        file = found["/srv/drift/file"]
        assert (file.cause, file.task, file.module) == ("host", "A file", "copy")
        assert file.set_by is not None and (file.set_by.run, file.set_by.task) == (run, "A file")
        assert [(diff["before"], diff["after"]) for diff in file.diff] == [("two\n", "one\n")]
        assert found["/srv/drift"].diff[0]["before"] == "mode: 0700\n"
        assert found["/srv/drift/b"].set_by == type(file.set_by)(run, "Several", file.set_by.started, file.set_by.user)


def test_a_playbook_that_says_something_else_by_now_is_told_from_a_host_that_was_changed(place: ManagedHost) -> None:
    run = apply(place)
    tasks = [{"name": "A file", "copy": {"content": "new\n", "dest": "/srv/drift/file"}},
             {"name": "Never run", "copy": {"content": "x", "dest": "/srv/drift/new"}}]  # fmt: skip
    write(place, tasks)
    changed, fresh = drift(place).hosts[place.host.name].drifted
    assert changed.cause == "playbook" and changed.set_by is not None and changed.set_by.run == run
    assert (fresh.cause, fresh.set_by) == ("unknown", None)


def test_what_the_playbook_no_longer_speaks_of_is_found_too(place: ManagedHost) -> None:
    run = apply(place)
    place.host.ssh("echo two > /srv/drift/file; rm /srv/drift/a; echo other > /srv/drift/secret")
    write(place, [{"debug": {"msg": "nothing"}}])
    found = {each.name: each for each in drift(place).hosts[place.host.name].drifted}
    assert set(found) == {"/srv/drift/file", "/srv/drift/a", "/srv/drift/secret"}
    assert all(each.cause == "host" and each.set_by and each.set_by.run == run for each in found.values())
    assert found["/srv/drift/a"].diff[0]["before"] == "type: absent\n"
    assert found["/srv/drift/secret"].diff == []


def test_what_a_no_log_task_set_drifts_without_being_shown(place: ManagedHost) -> None:
    apply(place)
    place.host.ssh("echo other > /srv/drift/secret")
    report = drift(place)
    assert report.exit_code == 2 and "s3cret" not in repr(report)
    (secret,) = report.hosts[place.host.name].drifted
    assert (secret.task, list(secret.diff)) == ("A secret", [])


def test_a_run_that_was_taken_back_left_nothing(place: ManagedHost) -> None:
    run = apply(place)
    assert place.rollback(run).exit_code == 0
    found = drift(place).hosts[place.host.name].drifted
    assert found and all(each.set_by is None or each.set_by.run != run for each in found)
    assert "host" not in {each.cause for each in found}


def test_hosts_that_cannot_be_asked_and_checks_that_fail_have_their_own_codes(place: ManagedHost) -> None:
    write(place, [{"name": "Fails", "command": "false", "check_mode": False}])
    report = drift(place)
    assert report.exit_code == 1 and report.hosts[place.host.name].problem.startswith("Fails: ")
    report = drift(place, extra_vars={"ansible_port": 1})
    assert report.exit_code == 4 and report.hosts[place.host.name].status == "unreachable"


def test_the_command_ends_with_the_code_and_writes_what_programs_read(
    place: ManagedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = apply(place)
    monkeypatch.setenv("XDG_STATE_HOME", str(place.folder / "state"))
    monkeypatch.chdir(place.folder)
    command = ["play.yml", "-i", place.inventory, "-l", place.host.name]
    fine = CliRunner().invoke(drift_command, command, standalone_mode=False)
    assert (fine.return_value, fine.output) == (0, f"as it was left: {place.host.name}\n")
    place.host.ssh("echo two > /srv/drift/file")
    found = CliRunner().invoke(drift_command, [*command, "--output", "json"], standalone_mode=False)
    (entry,) = json.loads(found.stdout)["hosts"][place.host.name]["drift"]
    assert found.return_value == 2 and (entry["name"], entry["set_by"]["run"]) == ("/srv/drift/file", run)
    lines = (
        CliRunner().invoke(drift_command, [*command, "--output", "jsonl"], standalone_mode=False).stdout.splitlines()
    )
    assert [json.loads(line)["event"] for line in lines] == ["drift", "recap"]


def write(managed: ManagedHost, tasks: list[dict[str, Any]]) -> Path:
    """The playbook of before, with other tasks."""
    path = managed.folder / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return path
