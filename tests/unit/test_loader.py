"""What is wrong in a playbook is refused with its place before a host is touched; what only shows later, too."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wxops.cli.main import main
from wxops.engine.options import RunOptions
from wxops.engine.run import Project
from wxops.errors import WxopsError
from wxops.playbook.inventory import Inventory

DATA = Path(__file__).parent / "data"
REFUSALS = yaml.safe_load((DATA / "refusals.yml").read_text())


def written(case: dict[str, Any], directory: Path) -> Path:
    """The project of a case; its playbook."""
    tasks = "".join(f"  {line}\n" for line in case.get("tasks", "").splitlines())
    playbook = case.get("playbook", f"- hosts: all\n  tasks:\n{tasks}")
    for name, text in {"site.yml": playbook, **case.get("files", {})}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory / "site.yml"


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case["case"])
def test_a_mistake_is_refused_with_its_place(case: dict[str, Any], tmp_path: Path) -> None:
    playbook = written(case, tmp_path)
    with pytest.raises(WxopsError) as refused:
        Project.load(Inventory.load(["h1,"]), [playbook], RunOptions())
    assert case["error"] in str(refused.value).replace(f"{tmp_path}/", "")


AT_RUN_TIME = {
    "an undefined variable": ("debug: {msg: '{{ colour }}'}", "site.yml:5:18: 'colour' is undefined"),
    "an attribute that is not there": ("debug: {msg: '{{ ansible_facts.x.y }}'}", "has no attribute 'x'"),
    "a filter that fails": ("debug: {msg: \"{{ 'x' | int + [] }}\"}", "site.yml:5:18: "),
    "a value of the wrong type": ("command: {cmd: ls, strip_empty_ends: \"{{ 'maybe' }}\"}", "should be true or false"),
    "a file that is not there": ("include_vars: none.yml", "there is no none.yml on the controller"),
    "a condition that is no truth value": ("debug: {msg: x}\n    when: \"'text'\"", "site.yml:6:11: when must be true"),
}


@pytest.mark.parametrize(("task", "error"), AT_RUN_TIME.values(), ids=AT_RUN_TIME)
def test_what_shows_only_in_a_run_names_the_task_and_the_place(
    task: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    playbook = "- hosts: h1\n  gather_facts: false\n  tasks:\n  - name: the task\n    " + task + "\n"
    (tmp_path / "site.yml").write_text(playbook)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "-i", "h1,", "site.yml", "--output", "jsonl"])
    with pytest.raises(SystemExit) as ended:
        main()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [event for event in events if event["event"] == "task"]
    assert (ended.value.code, told["task"], told["status"]) == (2, "the task", "failed")
    assert error in told["result"]["msg"]
