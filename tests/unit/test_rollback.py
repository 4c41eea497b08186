"""Taking runs back on one host: conflicts, what others added, commands, killed and nested runs, and rollbacks again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.rollback import rollback
from wxops.agent.place import beside


class Host:
    """A folder whose files runs change; run ids sort by time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder / "files", str(folder / "state")
        self.folder.mkdir()

    def change(self, run: str, module: str = "copy", **options: Any) -> Change:
        return Change(View(), Journal(run, root=self.state), module=module, **options)

    def write(self, run: str, name: str, text: str) -> None:
        content = Content(text.encode())
        self.change(run).set("file", str(self.folder / name), {"type": "file", "content": content, "mode": 0o644})

    def write_nested(self, run: str, name: str, text: str, outer: str = "1") -> None:
        """By a run that a command of another one started, and that knows this machine by another name."""
        journal = Journal(run, "localhost", {"run": run, "within": [outer]}, root=self.state)
        wanted = {"type": "file", "content": Content(text.encode()), "mode": 0o644}
        Change(View(), journal, module="copy").set("file", str(self.folder / name), wanted)

    def make(self, run: str, name: str) -> None:
        self.change(run).set("file", str(self.folder / name), {"type": "directory", "mode": 0o755})

    def command(self, run: str, text: str, inverse: str | None = None) -> None:
        self.change(run, "command", inverse=inverse).run_command(["/bin/sh", "-c", text], text, cwd=str(self.folder))

    def back(self, run: str, by: str, force: bool = False, check: bool = False) -> dict[str, Any]:
        change = self.change(by, "rollback", check=check)
        return {**rollback(change, run, force), "changed": change.changed, "warnings": change.warnings}

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.folder)): path.read_text() if path.is_file() else "/"
                for path in self.folder.rglob("*")}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_older_run_is_not_taken_back_under_a_newer_one(host: Host) -> None:
    host.write("1", "file", "first")
    host.write("2", "file", "second")
    with pytest.raises(ModuleFailure, match="changed by run 2 since"):
        host.back("1", "3")
    assert host.files() == {"file": "second"}
    host.back("2", "4")
    host.back("1", "5")
    assert host.files() == {}


def test_what_somebody_else_changed_needs_force(host: Host) -> None:
    host.write("1", "file", "ours")
    (host.folder / "file").write_text("theirs")
    with pytest.raises(ModuleFailure, match="changed by somebody else since"):
        host.back("1", "2")
    host.back("1", "3", force=True)
    assert host.files() == {}


def test_a_rollback_is_done_once(host: Host) -> None:
    host.write("1", "file", "text")
    assert host.back("1", "2")["steps_back"] == 1
    assert host.back("1", "3") == {"steps_back": 0, "msg": "already taken back by 2", "changed": False, "warnings": []}


def test_a_check_of_a_rollback_leaves_no_mark(host: Host) -> None:
    host.write("1", "file", "text")
    assert host.back("1", "2", check=True)["changed"] and host.files() == {"file": "text"}
    assert host.back("1", "3")["changed"] and host.files() == {}


def test_of_a_run_whose_rollback_was_taken_back_the_last_word_counts(host: Host) -> None:
    (host.folder / "tree").mkdir()
    (host.folder / "tree" / "file").write_text("kept")
    before = host.files()
    host.change("1").set("file", str(host.folder / "tree"), {"type": "absent"})
    host.back("1", "2")
    host.back("2", "3")
    assert host.files() == {}
    assert host.back("1", "4")["steps_back"] and host.files() == before
    assert host.back("1", "5")["msg"] == "already taken back by 4"


def test_a_directory_with_files_of_others_stays_and_is_named(host: Host) -> None:
    host.make("1", "models")
    host.write("1", "models/ours", "ours")
    (host.folder / "models" / "theirs").write_text("theirs")
    assert host.back("1", "2")["left"] == [str(host.folder / "models")]
    assert host.files() == {"models": "/", "models/theirs": "theirs"}


def test_force_takes_such_a_directory_into_the_journal(host: Host) -> None:
    host.make("1", "models")
    (host.folder / "models" / "theirs").write_text("theirs")
    host.back("1", "2", force=True)
    assert host.files() == {}
    host.back("2", "3")
    assert host.files() == {"models": "/", "models/theirs": "theirs"}


def test_what_a_command_of_the_run_put_into_its_directory_goes_with_it(host: Host) -> None:
    host.make("1", "made")
    host.command("1", "echo text > made/by-command")
    assert host.back("1", "2")["left"] == []
    assert host.files() == {}


def test_what_a_killed_write_left_is_nobody_elses(host: Host) -> None:
    host.make("1", "made")
    path = str(host.folder / "made" / "file")
    host.change("1").begin("file", path, {"type": "absent"}, {"type": "file"})
    Path(beside(path)).write_text("half")
    assert host.back("1", "2")["left"] == []
    assert host.files() == {}


def test_the_inverse_of_a_command_runs_once_also_if_the_rollback_was_cut_short(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: Any) -> None:
        raise ModuleFailure("cut short")

    host.write("1", "file", "text")
    log = host.folder.parent / "log"
    host.command("1", "true", f"echo back >> {log}")
    change = host.change("2", "rollback")
    monkeypatch.setattr(change, "set", cut_short)
    with pytest.raises(ModuleFailure, match="cut short"):
        rollback(change, "1", force=True)
    assert log.read_text() == "back\n"
    host.back("1", "3", force=True)
    assert log.read_text() == "back\n" and host.files() == {}


def test_an_inverse_is_not_run_again_when_its_rollback_is_taken_back(host: Host) -> None:
    host.command("1", "true", "exit 0")
    host.back("1", "2")
    assert "without `rollback:`" in host.back("2", "3")["irreversible"][0]


def test_a_command_without_inverse_is_reported_and_the_rest_goes_back(host: Host) -> None:
    host.command("1", "touch made")
    host.write("1", "file", "text")
    told = host.back("1", "2")
    assert len(told["irreversible"]) == 1 and host.files() == {"made": ""}


def test_an_inverse_that_fails_stops_the_rollback_unless_its_command_was_killed(host: Host) -> None:
    host.write("1", "file", "text")
    host.command("1", "true", "exit 3")
    with pytest.raises(ModuleFailure, match="its rollback command failed"):
        host.back("1", "2")
    host.write("5", "other", "text")
    host.change("5", "command").begin("command", "sleep", {"rollback": "exit 3"}, None)
    assert "cut short" in host.back("5", "6")["warnings"][0]
    assert host.files() == {"file": "text"}


def test_a_run_that_this_host_never_saw_says_so(host: Host) -> None:
    assert host.back("never", "2") == {
        "steps_back": 0, "msg": "changed nothing here", "known": False, "changed": False, "warnings": []
    }  # fmt: skip


def test_what_a_nested_run_changed_since_is_a_conflict(host: Host) -> None:
    host.write("1", "file", "outer")
    host.write_nested("2", "file", "inner")
    with pytest.raises(ModuleFailure, match="changed by run 2 since, which could be taken back first"):
        host.back("1", "3")
    host.back("2", "4")
    assert host.back("1", "5")["started"] == [] and host.files() == {}


def test_what_the_outer_run_changed_after_a_nested_one_goes_back_first(host: Host) -> None:
    host.write("1", "other", "outer")
    host.write_nested("2", "file", "inner")
    host.write("1", "file", "outer")
    with pytest.raises(ModuleFailure, match="changed by run 1 since, which could be taken back first"):
        host.back("2", "3")
    assert host.back("1", "4")["started"] == ["2"] and host.files() == {"file": "inner"}
    host.back("2", "5")
    assert host.files() == {}


def test_what_a_nested_run_changed_meanwhile_is_not_lost(host: Host) -> None:
    host.write("1", "file", "outer")
    host.write_nested("2", "file", "inner")
    host.write("1", "file", "outer again")
    with pytest.raises(ModuleFailure, match="changed by run 2 meanwhile: take that one back first, with --force"):
        host.back("1", "3")
    with pytest.raises(ModuleFailure, match="by run 1 before and since: take this run back with --force, then that"):
        host.back("2", "4")
    assert host.files() == {"file": "outer again"}
    host.back("2", "5", force=True)
    host.back("1", "6")
    assert host.files() == {}


def test_a_directory_with_files_of_a_nested_run_stays(host: Host) -> None:
    host.make("1", "models")
    host.write_nested("2", "models/theirs", "inner")
    host.write("1", "models/ours", "ours")
    assert host.back("1", "3")["left"] == [str(host.folder / "models")]
    assert host.files() == {"models": "/", "models/theirs": "inner"}
