"""What set_stats keeps is told at the end, as Ansible does with show_custom_stats, and stands in the run's record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from wxops.cli.main import main
from wxops.engine.custom_stats import CustomStats

PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - {set_stats: {data: {my_int: 10}}}
    - {set_stats: {data: {my_int: 15, name: x}}}
    - {set_stats: {data: {here: true}, per_host: true}}
"""


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    (folder / "site.yml").write_text(PLAYBOOK)
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "site.yml", *flags])
    with pytest.raises(SystemExit):
        main()


def test_the_output_ends_with_them_where_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "yes")
    run(tmp_path, monkeypatch)
    shown = capsys.readouterr().out
    assert '\tlocalhost: { "here": true}\n\tRUN: { "my_int": 25, "name": "x"}\n' in shown
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "no")
    run(tmp_path, monkeypatch)
    assert "CUSTOM STATS" not in capsys.readouterr().out


def test_the_recap_of_jsonl_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, monkeypatch, "--output", "jsonl")
    recap = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert recap["custom_stats"] == {"_run": {"my_int": 25, "name": "x"}, "localhost": {"here": True}}


def test_what_cannot_be_added_up_stays_and_what_is_not_to_be_is_replaced() -> None:
    stats = CustomStats()
    for data, aggregate in (({"a": 1, "m": {"x": 1}}, True), ({"a": "text", "m": {"y": 2}}, True), ({"b": 2}, False),
                            ({"b": 3}, False)):  # fmt: skip
        stats.add("h", {"data": data, "per_host": False, "aggregate": aggregate})
    assert stats.kept == {"_run": {"a": 1, "m": {"x": 1, "y": 2}, "b": 3}}
