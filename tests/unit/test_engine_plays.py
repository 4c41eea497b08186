"""Whole plays through the real engine and a real agent, each held against what ansible-core makes of it.

The cases are data/plays/*.yml; what ansible-core 2.19 told is recorded beside them by record.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.data.plays.record import condensed, lay_out, readable
from wxops.cli.main import main

DATA = Path(__file__).parent / "data" / "plays"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted((DATA / "recorded").glob("*.json"))}
CASES = [
    pytest.param(name, run, id=" ".join([name, *run["arguments"]])) for name, runs in RECORDED.items() for run in runs
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and a state directory of its own for records and journals."""
    directory = tmp_path.resolve() / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return directory


@pytest.mark.parametrize(("name", "recorded"), CASES)
def test_a_play_goes_as_with_ansible(
    name: str, recorded: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    case = yaml.safe_load((DATA / f"{name}.yml").read_text())
    lay_out(case, project)
    command = ["wxops", "run", "-i", "hosts.ini", "site.yml", "--output", "jsonl", *recorded["arguments"]]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    told = condensed(events, str(project), case.get("free", False))
    if recorded["exit"] == 1:  # ansible-core ends without a recap, and without a word of the task itself
        told["recap"] = {}
        told["told"] = told["told"][: len(recorded["told"])]
    told = {"arguments": recorded["arguments"], "exit": ended.value.code, **told}
    differences = [*unified_diff(readable(recorded).splitlines(), readable(told).splitlines(), lineterm="", n=1)]
    assert not differences, "\n".join([*differences, *map(str, reasons(events)), err])


def test_an_include_that_cannot_be_read_is_told_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(yaml.safe_load((DATA / "include_missing.yml").read_text()), project)
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "hosts.ini", "site.yml", "--output", "jsonl", "-l", "h1"])
    with pytest.raises(SystemExit):
        main()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["task"], event["status"]) for event in events if event["event"] == "task"] == [("a file", "failed")]


def reasons(events: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Why tasks failed, to understand a difference."""
    for event in events:
        if event["event"] == "task" and event["status"] in ("failed", "ignored", "rescued", "unreachable"):
            yield event["task"], str(event["result"].get("msg"))[:300]
        elif event["event"] == "notice":
            yield "notice", event["text"]


def test_every_case_is_recorded() -> None:
    assert {path.stem for path in DATA.glob("*.yml")} == set(RECORDED)
