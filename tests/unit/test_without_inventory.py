"""A run without an inventory: localhost is there all the same, and nobody else is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wxops.cli.main import main


@pytest.mark.parametrize(("hosts", "code"), [("localhost", 0), ("127.0.0.1", 0), ("all", 1), ("gpu", 1)])
def test_only_a_play_for_localhost_needs_no_inventory(
    hosts: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "site.yml").write_text(
        f"- {{hosts: {hosts}, gather_facts: false, tasks: [{{debug: {{msg: here I am}}}}]}}\n"
    )
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "site.yml", "--output", "plain"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == code
    assert ("here I am" in told.out) == (code == 0)
    assert ("no inventory is given" in told.err) == (code == 1)


def test_a_play_may_make_the_hosts_of_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "site.yml").write_text(
        "- {hosts: localhost, gather_facts: false, tasks: [{add_host: {name: made, groups: web}}]}\n"
        "- {hosts: web, gather_facts: false, tasks: [{debug: {msg: here I am}}]}\n"
    )
    monkeypatch.setattr(sys, "argv", ["wxops", "run", "site.yml", "--output", "plain"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, "here I am" in capsys.readouterr().out) == (0, True)


def test_such_a_run_is_taken_back_without_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    task = f"{{copy: {{content: x, dest: {tmp_path}/made}}}}"
    (tmp_path / "site.yml").write_text(f"- {{hosts: localhost, gather_facts: false, tasks: [{task}]}}\n")
    for command, is_there in ((["run", "site.yml"], True), (["rollback"], False)):
        monkeypatch.setattr(sys, "argv", ["wxops", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, capsys.readouterr()
        assert (tmp_path / "made").exists() == is_there
