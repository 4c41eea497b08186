"""A module that Ansible has and wxops has not: no host is changed where one may need it, and nobody minds elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from wxops.cli.run import run

CONDITIONS = {
    "a condition that holds": {"when": "family == 'Debian'"},
    "a condition that nothing is known of yet": {"when": "found is changed"},
    "a loop over something": {"loop": ["a"]},
    "a loop over what is not known": {"loop": "{{ unknown }}"},
}


def ran(directory: Path, task: dict[str, object], **keywords: object) -> str:
    """What an operator reads of a play that touches a file, and then has this task."""
    touch = {"copy": {"dest": str(directory / "touched"), "content": "x"}, "register": "found"}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": {"family": "Debian"},
            "tasks": [touch, {"rpm_key": {"key": "x"}, **task}], **keywords}  # fmt: skip
    (directory / "site.yml").write_text(yaml.safe_dump([play]))
    flags = ["-i", "localhost,", str(directory / "site.yml")]
    result = CliRunner(env={"XDG_STATE_HOME": str(directory / "state")}).invoke(run, flags)
    return f"{result.exit_code} {result.output} {result.exception or ''}"


@pytest.mark.parametrize("task", CONDITIONS.values(), ids=CONDITIONS)
def test_is_refused_before_anything_changes_where_a_host_may_come_to_it(
    task: dict[str, object], tmp_path: Path
) -> None:
    said = ran(tmp_path, task)
    assert re.search(r"site\.yml:\d+:5: 'rpm_key' is a module of ansible.builtin", said)
    assert "localhost may come to it" in said
    assert not (tmp_path / "touched").exists()


def test_is_passed_by_where_no_host_comes_to_it(tmp_path: Path) -> None:
    said = ran(tmp_path, {"when": "family == 'RedHat'"})
    assert "skipping: [localhost]" in said
    assert (tmp_path / "touched").exists()


def test_fails_the_host_that_comes_to_it_after_all(tmp_path: Path) -> None:
    turned = {"set_fact": {"family": "RedHat"}}
    task = {"when": "family == 'RedHat'"}
    said = ran(tmp_path, task, pre_tasks=[turned], post_tasks=[])
    assert "localhost may come to it" not in said
    assert "FAILED" in said and "'rpm_key' is a module of ansible.builtin" in said
