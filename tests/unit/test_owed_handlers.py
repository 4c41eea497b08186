"""A handler that was notified and never ran is kept by the host, runs with the next run of the play, and is told of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main

PLAY = """
- name: the play
  hosts: h1
  gather_facts: false
  tasks:
  - {name: change, copy: {content: x, dest: "{{ playbook_dir }}/f"}, notify: [told, topic]}
  - {name: breaks, command: test -e fixed}
  handlers:
  - {name: told, shell: echo told >> log}
  - {name: listens, shell: echo listens >> log, listen: topic}
"""


class Project:
    def __init__(self, directory: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self._capsys, self._monkeypatch = directory, capsys, monkeypatch
        (directory / "site.yml").write_text(PLAY)
        (directory / "hosts.ini").write_text(f"h1 ansible_connection=local ansible_python_interpreter={sys.executable}")
        self.run_words = ["run", "-i", "hosts.ini", "site.yml", "--output", "jsonl"]

    def run(self, *words: str) -> tuple[int, list[str]]:
        """The exit code and the notices of a run."""
        return self.wxops(*self.run_words, *words)

    def wxops(self, *words: str) -> tuple[int, list[str]]:
        self._monkeypatch.setattr(sys, "argv", ["wxops", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return int(ended.value.code or 0), [line["text"] for line in told if line["event"] == "notice"]

    def change(self, old: str, new: str) -> None:
        text = (self.directory / "site.yml").read_text()
        assert old in text
        (self.directory / "site.yml").write_text(text.replace(old, new))

    def repair(self) -> None:
        (self.directory / "fixed").touch()

    @property
    def log(self) -> list[str]:
        """What the handlers wrote so far."""
        path = self.directory / "log"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Project(tmp_path, capsys, monkeypatch)


def test_a_handler_that_a_failure_kept_from_running_runs_next_time_once(project: Project) -> None:
    code, notices = project.run()
    assert (code, project.log) == (2, [])
    assert notices == ["h1: handlers that did not run are owed to it by the next run of this play: told, topic"]
    project.repair()
    code, notices = project.run()
    assert (code, project.log) == (0, ["told", "listens"])
    assert len(notices) == 2
    assert any("handler 'told' runs now" in text and "after task 'change'" in text for text in notices)
    assert project.run() == (0, [])
    assert project.log == ["told", "listens"]


def test_a_run_that_fails_again_still_owes_it(project: Project) -> None:
    project.run()
    project.run()
    project.repair()
    project.run()
    assert project.log == ["told", "listens"]


def test_a_check_tells_of_it_and_leaves_it_owed(project: Project) -> None:
    project.run()
    project.repair()
    code, notices = project.run("--check")
    assert (code, project.log, len(notices)) == (0, [], 2)
    project.run()
    assert project.log == ["told", "listens"]


def test_a_killed_controller_loses_no_handler(project: Project) -> None:
    project.change("test -e fixed", "sleep 30")
    command = [sys.executable, "-c", "from wxops.cli.main import main; main()", *project.run_words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if '"start"' in line and '"breaks"' in line:
            break
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    time.sleep(0.2)
    project.change("sleep 30", "echo it goes on")
    assert project.run()[0] == 0
    assert project.log == ["told", "listens"]


def test_what_was_judged_to_be_no_change_owes_nothing(project: Project) -> None:
    project.change("notify: [told, topic]", "notify: [told, topic], changed_when: false")
    assert project.run() == (2, [])
    project.repair()
    project.run()
    assert project.log == []


def test_a_task_that_failed_owes_nothing(project: Project) -> None:
    project.change("notify: [told, topic]", "notify: [told, topic], failed_when: true")
    assert project.run() == (2, [])
    project.repair()
    project.change(", failed_when: true", "")
    project.run()
    assert project.log == []


def test_a_handler_that_failed_is_owed_with_those_after_it(project: Project) -> None:
    project.repair()
    project.change("echo told >> log", "test -e ready && echo told >> log")
    code, notices = project.run()
    assert (code, project.log) == (2, [])
    assert "told, topic" in notices[0]
    (project.directory / "ready").touch()
    project.run()
    assert project.log == ["told", "listens"]


def test_one_that_is_no_longer_in_the_play_is_forgotten(project: Project) -> None:
    project.run()
    project.repair()
    project.change("name: told, shell", "name: renamed, shell")
    project.change("[told, topic]", "[renamed, topic]")
    _, notices = project.run()
    assert any("handler 'told' is no longer in the play" in text for text in notices)
    assert (project.log, project.run()) == (["listens"], (0, []))


def test_what_changed_only_on_the_controller_is_owed_too(project: Project) -> None:
    change = "debug: {msg: x}, changed_when: 'not (done | bool)'"
    project.change('copy: {content: x, dest: "{{ playbook_dir }}/f"}', change)
    project.run("-e", "done=false")
    project.repair()
    project.run("-e", "done=true")
    assert project.log == ["told", "listens"]


def test_another_play_has_nothing_to_do_with_it(project: Project) -> None:
    project.run()
    project.repair()
    project.change("name: the play", "name: another play")
    assert project.run() == (0, [])
    assert project.log == []


def test_a_run_that_was_taken_back_is_owed_nothing(project: Project) -> None:
    project.change("command: test -e fixed", "copy: {src: none, dest: f2}")
    project.run()
    past = max(path.name for path in (project.directory / "state" / "wxops" / "runs").iterdir())
    project.wxops("rollback", past, "-i", "hosts.ini", "--output", "jsonl")
    project.change("copy: {src: none, dest: f2}", "debug: {msg: x}")
    project.change("copy: {content: x", "copy: {force: false, content: x")
    (project.directory / "f").touch()
    assert project.run() == (0, [])
    assert project.log == []


def test_a_warm_run_costs_no_round_trip_more(project: Project) -> None:
    def round_trips() -> int:
        project.run()
        past = max((project.directory / "state" / "wxops" / "runs").glob("*/run.json"))
        return int(json.loads(past.read_text())["traffic"]["bursts"])

    project.repair()
    round_trips()
    with_handlers = round_trips()
    project.change(", notify: [told, topic]", "")
    assert with_handlers == round_trips()
