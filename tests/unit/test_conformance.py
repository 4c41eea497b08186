"""How two accounts of a target are held against each other, and how a copy of it is made to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from conformance.compare import compare
from conformance.engines import Outcome
from conformance.going_on import Lines, go_on
from conformance.report import Tried


def said(where: str, status: str, module: str = "command", host: str = "h", **result: Any) -> dict[str, Any]:
    return {"host": host, "task": "t", "where": where, "status": status, "module": module, "result": result}


def test_results_are_matched_by_place_host_and_occurrence() -> None:
    theirs = [said("a.yml:1", "ok"), said("a.yml:1", "changed"), said("a.yml:1", "ok", host="g")]
    ours = [said("a.yml:1", "ok", host="g"), said("a.yml:1", "ok"), said("a.yml:1", "skipped")]
    found = compare(theirs, ours)
    assert (found.tasks, found.agree, found.extra) == (3, 2, 0)
    assert found.differences[0].place == ("a.yml:1", "h", 1)


def test_a_task_that_one_engine_did_not_run_is_a_difference_and_one_beyond_is_told() -> None:
    found = compare([said("a.yml:1", "ok"), said("a.yml:2", "ok")], [said("a.yml:1", "ok"), said("a.yml:3", "ok")])
    assert (found.tasks, found.agree, found.extra) == (2, 1, 1)
    assert [difference.ours is None for difference in found.differences] == [True, False]


def test_a_failure_that_is_rescued_is_a_failure_and_an_include_is_no_task() -> None:
    theirs = [said("a.yml:1", "failed"), said("a.yml:2", "failed", "include_tasks")]
    ours = [said("a.yml:1", "rescued"), said("a.yml:2", "ok", "include_tasks")]
    found = compare(theirs, ours)
    assert (found.tasks, found.agree) == (2, 1)


TASKS = """\
- assert:
    that: false

- name: named
  assert: {that: false}
  when: true
- name: its failure is looked at
  assert: {that: false}
  failed_when: false
- block:
    - debug: {msg: x}
      ignore_errors: true
    - assert:
        that: [false]
"""


def test_assertions_fail_without_an_end_and_lines_are_told_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "main.yml"
    path.write_text(TASKS)
    go_on(tmp_path)
    tasks = yaml.safe_load(path.read_text())
    assert [task.get("ignore_errors") for task in [*tasks[:3], *tasks[3]["block"]]] == [True, True, None, True, True]
    assert [task.keys() - {"ignore_errors"} for task in tasks] == [task.keys() for task in yaml.safe_load(TASKS)]
    new = path.read_text().splitlines().index("  when: true") + 1
    assert Lines().original(path, new) == TASKS.splitlines().index("  when: true") + 1


def test_a_script_goes_on_after_what_fails(tmp_path: Path) -> None:
    (tmp_path / "runme.sh").write_text("#!/usr/bin/env bash\nset -eux -o pipefail\nfalse\n")
    go_on(tmp_path)
    assert "set +e\n" in (tmp_path / "runme.sh").read_text()


def test_a_task_with_a_module_that_the_target_brings_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "own.py").write_text("")
    path = tmp_path / "main.yml"
    path.write_text("- name: its own\n  own:\n    x: 1\n  register: r\n\n- command: echo own\n- own:\n- ping:\n")
    go_on(tmp_path)
    assert yaml.safe_load(path.read_text()) == [{"command": "echo own"}, {"ping": None}]
    assert len(path.read_text().splitlines()) == 8


def test_a_target_of_which_nothing_ran_or_that_was_cut_off_is_no_agreement() -> None:
    cut = Tried("t", Outcome([], 1, [], "", whole=False), Outcome([], 1, [], ""), compare([], []))
    assert "| t | 0 | 0 | none ran |" in cut.row() and "ansible-core cut off after" in cut.row()
