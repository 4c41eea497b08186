"""The journal on disk: private, whole after a crash or on a full disk, shared by agents of one run, pruned in time."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wxops.agent import journal as journal_file
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal, mount_points

STEP = {"kind": "file", "name": "/x", "before": {"type": "absent"}, "after": None, "task": "t", "module": "m"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal("run", "host", {"run": "run"}, root=str(tmp_path / "state"))


def again(journal: Journal) -> Journal:
    """The same journal as another agent sees it."""
    return Journal(journal.run, journal.host, root=journal.root)


def steps_file(journal: Journal) -> Path:
    return Path(journal.path("steps.jsonl"))


def test_steps_come_back_in_order_with_what_became_of_them(journal: Journal) -> None:
    for name in ("one", "two", "three"):
        journal.begin({**STEP, "name": name})
    journal.done(1)
    journal.void(2)
    assert [(step["name"], step["finished"]) for step in again(journal).steps()] == [("one", True), ("three", False)]


def test_nobody_else_can_read_it(journal: Journal) -> None:
    os.umask(0)
    try:
        journal.begin(STEP)
        journal.keep_content(Content(b"secret"))
    finally:
        os.umask(0o022)
    folder = Path(journal.directory)
    for place in (folder, folder.parent, folder.parent.parent, Path(journal.root)):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE(steps_file(journal).stat().st_mode) == 0o600


def test_numbers_go_on_after_a_crash_that_cut_a_line_short(journal: Journal) -> None:
    journal.begin(STEP)
    with steps_file(journal).open("a") as file:
        file.write('{"seq": 2, "kind": "fi')
    later = again(journal)
    assert later.begin({**STEP, "name": "after"}) == 2
    assert [(step["seq"], step["name"]) for step in later.steps()] == [(1, "/x"), (2, "after")]


def test_a_first_line_cut_short_does_not_swallow_the_next(journal: Journal) -> None:
    journal.begin(STEP)
    steps_file(journal).write_text('{"seq": 1, "kind')
    later = again(journal)
    later.begin({**STEP, "name": "after"})
    assert [step["name"] for step in later.steps()] == ["after"]


def test_two_agents_of_a_run_never_take_the_same_number(journal: Journal) -> None:
    program = (
        "import sys\nfrom wxops.agent.journal import Journal\nj = Journal('run', 'host', root=sys.argv[1])\n"
        f"for n in range(100): j.done(j.begin(dict({STEP!r}, name=sys.argv[2])))\n"
    )
    agents = [subprocess.Popen([sys.executable, "-c", program, journal.root, name]) for name in "abc"]
    assert [agent.wait(60) for agent in agents] == [0, 0, 0]
    steps = journal.steps()
    assert len(steps) == 300 and all(step["finished"] for step in steps)
    assert [step["seq"] for step in steps] == list(range(1, 301))


def test_bytes_kept_by_two_agents_do_not_meet(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    first = journal.keep_content(Content(b"mine"))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert again(journal).keep_content(Content(b"theirs")) != first
    assert Path(journal.path(first)).read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_begins_no_step_and_keeps_the_older_ones(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        journal = Journal("run", root=str(disk / "state"))
        begun = 0
        with pytest.raises(OSError, match="No space left"):
            for _ in range(100):
                journal.begin({**STEP, "before": "x" * 3000})
                begun += 1
        assert begun and len(journal.steps()) == begun
        assert steps_file(journal).read_bytes().endswith(b"\n")
        with pytest.raises(OSError, match="No space left"):
            journal.keep_content(Content(b"x" * 100_000))
        assert not list(Path(journal.directory).glob("blob*"))
        steps_file(journal).write_bytes(steps_file(journal).read_bytes()[:8000])  # somebody makes room
        journal.begin(STEP)
        assert journal.steps()[-1]["name"] == "/x"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_step_and_its_folder_are_synced_before_begin_returns(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda fd, real=real: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))
        )
    journal.begin(STEP)
    assert synced[-2:] == [journal.directory, journal.path("steps.jsonl")]
    assert os.path.dirname(journal.directory) in synced, "the entry of the folder itself"


def test_names_that_are_no_text_survive(journal: Journal) -> None:
    name = os.fsdecode(b"/srv/\xff new\nline")
    journal.begin({**STEP, "name": name})
    assert again(journal).steps()[0]["name"] == name


def make_runs(root: Path, count: int, days: float) -> list[str]:
    names = [f"20260101-{number:06}-aaaa" for number in range(count)]
    for name in names:
        (root / "journal" / name / "host").mkdir(parents=True)
        (root / "journal" / name / "host" / "steps.jsonl").write_text(json.dumps(STEP))
        os.utime(root / "journal" / name, (time.time() - days * 86400,) * 2)
    return names


@pytest.mark.parametrize(("days", "left"), [(31, journal_file.KEPT_RUNS), (29, 71)], ids=["old", "young"])
def test_old_journals_go_when_many_newer_ones_are_there(tmp_path: Path, days: float, left: int) -> None:
    names = make_runs(tmp_path, 70, days)
    journal = Journal("20260202-000000-bbbb", root=str(tmp_path))
    assert len(journal.runs()) == 70, "a run that changes nothing removes nothing"
    journal.begin(STEP)
    assert journal.runs() == [*names[71 - left :], journal.run]
    assert not list((tmp_path / "journal").glob("pruned-*"))


def test_another_run_is_found_under_the_name_that_the_host_had_then(tmp_path: Path) -> None:
    Journal("first", "old-name", root=str(tmp_path)).begin(STEP)
    now = Journal("second", "new-name", root=str(tmp_path))
    assert now.of_run("first").host == "old-name"
    assert not now.of_run("never").exists()
    Journal("first", "third-name", root=str(tmp_path)).begin(STEP)
    with pytest.raises(ModuleFailure, match="as old-name and third-name, not as new-name"):
        now.of_run("first")
    assert Journal("third", "third-name", root=str(tmp_path)).of_run("first").host == "third-name"


@pytest.mark.parametrize("host", ["..", "../..", "a/../../b", "."])
def test_a_name_of_a_host_leads_nowhere_else(host: str, tmp_path: Path) -> None:
    journal = Journal("run", host, root=str(tmp_path))
    journal.begin(STEP)
    assert os.path.realpath(journal.directory).startswith(str(tmp_path / "journal" / "run") + "/")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_mount_point_with_a_blank_in_its_name_is_seen(journal: Journal, tmp_path: Path) -> None:
    place = tmp_path / "a folder" / "with mount"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        assert str(place) in mount_points()
        with pytest.raises(ModuleFailure, match="holds a mount point"):
            journal.place_for_tree(str(tmp_path / "a folder"))
    finally:
        subprocess.run(["umount", place], check=True)


def state_of_daemon(home: Path) -> subprocess.CompletedProcess[str]:
    """What the user daemon, with that home, takes for its state directory."""
    program = (
        "import os, pwd, sys, types; from wxops.agent.journal import state_directory; os.setgroups([]); os.setuid(1)\n"
        "pwd.getpwuid = lambda uid: types.SimpleNamespace(pw_dir=sys.argv[1]); print(state_directory())"
    )
    environment = {**os.environ, "HOME": "/root", "XDG_STATE_HOME": "/root/state"}
    argv = [sys.executable, "-c", program, home]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_users_state_lies_in_their_home_whatever_the_environment_says(tmp_path: Path) -> None:
    for path in [tmp_path, *tmp_path.parents][:3]:
        path.chmod(0o755)
    os.chown(tmp_path, 1, 1)
    assert state_of_daemon(tmp_path).stdout.strip() == f"{tmp_path}/.local/state/wxops"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_has_no_home_has_a_directory_that_nobody_else_made() -> None:
    own = Path("/var/tmp/wxops-1")
    shutil.rmtree(own, ignore_errors=True)
    try:
        assert state_of_daemon(Path("/nonexistent")).stdout.strip() == str(own)
        assert (own.stat().st_uid, own.stat().st_mode & 0o777) == (1, 0o700)
        os.chown(own, 2, 2)
        assert "should be a directory of this user's alone" in state_of_daemon(Path("/nonexistent")).stderr
        own.rmdir()
        own.symlink_to("/etc")
        assert "should be a directory of this user's alone" in state_of_daemon(Path("/nonexistent")).stderr
        own.unlink()
    finally:
        shutil.rmtree(own, ignore_errors=True)
