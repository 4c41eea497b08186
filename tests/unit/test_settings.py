"""wxops.toml: found upward, checked by line, its paths beside it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from wxops.errors import InputError, Origin
from wxops.playbook.settings import Settings


def project(directory: Path, text: str) -> Path:
    path = directory / "wxops.toml"
    path.write_text(text)
    return path


def test_the_nearest_file_above_counts(tmp_path: Path) -> None:
    project(tmp_path, "forks = 3\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert Settings.load(str(below)).forks == 3
    project(tmp_path / "a", "forks = 4\n")
    assert Settings.load(str(below)).forks == 4


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert Settings.load(str(tmp_path)) == Settings()
    assert Settings().forks == 100


def test_every_setting_is_read_and_its_paths_are_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    path = project(
        tmp_path,
        """
        inventory = ["inventories/hosts.yml", "/etc/hosts.ini", "a,b,"]
        forks = 10
        remote_user = "ops"
        private_key_file = "~/.ssh/id"
        ask_become_pass = true
        vault_password_file = "../pass"
        roles_path = "roles"
        accept_new = true
        timeout = 2.5
        output = "jsonl"
        """,
    )
    assert Settings.load(str(tmp_path)) == Settings(
        inventory=(f"{tmp_path}/inventories/hosts.yml", "/etc/hosts.ini", "a,b,"),
        forks=10,
        remote_user="ops",
        private_key_file="/home/op/.ssh/id",
        ask_become_pass=True,
        vault_password_file=f"{tmp_path.parent}/pass",
        roles_path=(f"{tmp_path}/roles",),
        accept_new=True,
        timeout=2.5,
        output="jsonl",
        file=str(path),
    )


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("# comment\nfork = 5\n", 2, "did you mean 'forks'?"),
        ("\n[defaults]\nforks = 1\n", 2, "no setting 'defaults'"),
        ("a.b = 1\n", 1, "no setting 'a'"),
        ("file = 'x'\n", 1, "no setting 'file'"),
        ("forks = 0\n", 1, "from 1 up, not 0"),
        ("forks = true\n", 1, "from 1 up"),
        ("forks = '5'\n", 1, "from 1 up"),
        ("timeout = 1\ntimeout_ = 1\n", 2, "did you mean 'timeout'?"),
        ("timeout = -1\n", 1, "above 0"),
        ("accept_new = 'yes'\n", 1, "true or false"),
        ("output = 'json'\n", 1, "one of live, plain, jsonl"),
        ("inventory = [1]\n", 1, "a list of paths"),
        ("remote_user = 5\n", 1, "is text"),
        ('"remote_user" = 5\n', 1, "is text"),
        ("forks = 1\nforks =\n", 2, "not valid TOML"),
    ],
)
def test_a_mistake_is_shown_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = project(tmp_path, text)
    with pytest.raises(InputError) as raised:
        Settings.load(str(tmp_path))
    assert isinstance(raised.value.where, Origin)
    assert (raised.value.where.file, raised.value.where.line) == (str(path), line)
    assert problem in str(raised.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().forks = 1  # type: ignore[misc]
