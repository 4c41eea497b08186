"""Changes of files, killed before each of their system calls: a rollback finds the way back, and a rerun the way on."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.change import Change, View
from wxops.agent.content import SMALL, Content
from wxops.agent.failure import ModuleFailure, Stopped
from wxops.agent.journal import Journal
from wxops.agent.modules.rollback import rollback

CALLS = ("chmod", "chown", "fdatasync", "fsync", "ftruncate", "link", "mkdir", "mknod", "open", "rename", "rmdir",
         "setxattr", "symlink", "unlink", "utime", "write")  # fmt: skip
BIG = b"big" * SMALL
ROOT = os.geteuid() == 0


def killed_after(calls: int, work: Callable[[], Any]) -> bool:
    """Do the work in a process that dies before its system call number `calls` + 1; did it die?"""
    pid = os.fork()
    if pid == 0:
        left = [calls]

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                return real(*args, **options)

            return call

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 9), "the work failed"
    return status == 9


def snapshot(path: Path) -> Any:
    """Everything that a rollback promises of a tree: bytes, mode, owner, link, ACL and label, a file's time."""
    if not os.path.lexists(path):
        return None
    found = path.lstat()
    about: list[Any] = [oct(found.st_mode), found.st_uid, found.st_gid]
    if path.is_symlink():
        return [*about, os.readlink(path)]
    about.append({name: os.getxattr(path, name) for name in os.listxattr(path)})
    if path.is_dir():
        return [*about, {name: snapshot(path / name) for name in sorted(os.listdir(path))}]
    if stat.S_ISREG(found.st_mode):
        return [*about, path.read_bytes(), found.st_mtime_ns]
    return [*about, found.st_rdev]


class Site:
    """A tree, the journals beside it, and runs that change it."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.state = folder / "tree", str(folder / "state")
        self.tree.mkdir()
        self.thing = self.tree / "thing"

    def change(self, run: str = "1 run", **options: Any) -> Change:
        return Change(View(), Journal(run, root=self.state), **options)

    def set(self, wanted: Mapping[str, Any]) -> Change:
        change = self.change()
        change.set("file", str(self.thing), dict(wanted))
        return change

    def rollback(self, run: str = "1 run", by: str = "2 back", **options: Any) -> dict[str, Any]:
        change = self.change(by, module="rollback")
        return {**rollback(change, run, **options), "changed": change.changed}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Nothing is synced, which only a power cut would need."""
    os.umask(0o022)
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)
    return Site(tmp_path)


def a_file(site: Site) -> None:
    site.thing.write_bytes(b"old")
    site.thing.chmod(0o4751)
    if ROOT:
        os.chown(site.thing, 1, 2)
        site.thing.chmod(0o4751)
    with contextlib.suppress(OSError):
        os.setxattr(site.thing, "user.note", b"kept")
    os.utime(site.thing, (5, 5))


def a_big_file(site: Site) -> None:
    site.thing.write_bytes(BIG)
    os.utime(site.thing, (5, 5))


def a_link(site: Site) -> None:
    site.thing.symlink_to("nowhere")


def an_empty_directory(site: Site) -> None:
    site.thing.mkdir(mode=0o2750)
    site.thing.chmod(0o2750)
    with contextlib.suppress(OSError):
        os.setxattr(site.thing, "user.note", b"kept")


def a_full_directory(site: Site) -> None:
    an_empty_directory(site)
    (site.thing / "deep").mkdir()
    (site.thing / "deep" / "file").write_bytes(b"inside")
    os.utime(site.thing / "deep" / "file", (5, 5))
    (site.thing / "link").symlink_to("deep/file")
    os.mkfifo(site.thing / "fifo")


def a_fifo(site: Site) -> None:
    os.mkfifo(site.thing, 0o640)


def a_socket(site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(site.tree):
        listening.bind("thing")


def a_device(site: Site) -> None:
    os.mknod(site.thing, stat.S_IFCHR | 0o660, os.makedev(1, 3))


def a_hard_link(site: Site) -> None:
    (site.tree / "other").write_bytes(b"shared")
    os.utime(site.tree / "other", (5, 5))
    os.link(site.tree / "other", site.thing)


def nothing(site: Site) -> None:
    pass


OWNED = {"uid": 3, "gid": 4, "mode": 0o6755} if ROOT else {"mode": 0o6755}
NEW_FILE = {"type": "file", "content": Content(b"new"), "mode": 0o640}
BEFORE = [nothing, a_file, a_big_file, a_link, an_empty_directory, a_full_directory, a_fifo, a_hard_link]
AFTER: dict[str, Mapping[str, Any]] = {
    "absent": {"type": "absent"},
    "file": {**NEW_FILE, **OWNED},
    "link": {"type": "link", "target": "elsewhere"},
    "directory": {"type": "directory", "mode": 0o1777},
}
if ROOT:
    BEFORE.append(a_device)
transitions = pytest.mark.parametrize(
    ("before", "wanted"),
    [pytest.param(before, wanted, id=f"{before.__name__} to {name}") for before in BEFORE
     for name, wanted in AFTER.items() if (before, name) != (nothing, "absent")],
)  # fmt: skip


def instants(site: Site, work: Callable[[], Any], recover: Callable[[], Any]) -> Iterator[int]:
    """Kill the work before each of its system calls, until it comes to its end; `recover` sets up anew."""
    calls = 0
    while killed_after(calls, work):
        yield calls
        recover()
        calls += 1
    assert calls > 3, "it was never killed"


def fresh(site: Site, before: Callable[[Site], None]) -> None:
    for folder in (site.tree, Path(site.state)):
        shutil.rmtree(folder, ignore_errors=True)
    site.tree.mkdir()
    before(site)


@transitions
def test_a_change_killed_anywhere_is_taken_back_and_done_again(site: Site, before: Any, wanted: Any) -> None:
    before(site)
    old = snapshot(site.tree)
    for calls in instants(site, lambda: site.set(wanted), lambda: fresh(site, before)):
        site.rollback()
        assert snapshot(site.tree) == old, f"rollback after a kill at call {calls}"
        site.change("3 again").set("file", str(site.thing), dict(wanted))
        assert os.listdir(site.tree) == [name for name in os.listdir(site.tree) if not name.endswith("wxops-new")]
        assert not site.change("4 check", check=True).set("file", str(site.thing), dict(wanted))
        site.rollback("3 again", "4 back")
        assert snapshot(site.tree) == old
    site.rollback()
    assert snapshot(site.tree) == old


@pytest.mark.parametrize("wanted", [AFTER["file"], AFTER["directory"]], ids=["file", "directory"])
@pytest.mark.parametrize("before", [nothing, a_file, a_link, a_full_directory])
def test_a_rerun_after_a_kill_converges(site: Site, before: Any, wanted: Any) -> None:
    before(site)
    for calls in instants(site, lambda: site.set(wanted), lambda: fresh(site, before)):
        site.change("3 rerun").set("file", str(site.thing), dict(wanted))
        names = {"thing", "other"} if wanted["type"] != "absent" else {"other"}
        assert set(os.listdir(site.tree)) <= names, f"left after a kill at call {calls}"
        assert not site.change("4 check", check=True).set("file", str(site.thing), dict(wanted))


@transitions
def test_a_rollback_killed_anywhere_is_finished_by_the_next(site: Site, before: Any, wanted: Any) -> None:
    before(site)
    old = snapshot(site.tree)
    site.set(wanted)

    def again() -> None:
        fresh(site, before)
        site.set(wanted)

    for calls in instants(site, site.rollback, again):
        site.rollback(by="3 back")
        assert snapshot(site.tree) == old, f"after a kill at call {calls}"


@pytest.mark.parametrize("wanted", [{"type": "absent"}, NEW_FILE], ids=["absent", "file"])
@pytest.mark.parametrize("before", [a_socket, a_fifo])
def test_what_is_no_file_comes_back(site: Site, before: Any, wanted: Any) -> None:
    before(site)
    old = snapshot(site.tree)
    site.set(wanted)
    site.rollback()
    assert snapshot(site.tree) == old


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", "模型".encode(), b"n" * 255, "模".encode() * 85, b" "])
def test_every_name_that_linux_allows_can_be_changed_and_taken_back(site: Site, name: bytes) -> None:
    site.thing = site.tree / os.fsdecode(name)
    site.thing.write_bytes(b"old")
    old = snapshot(site.tree)
    site.set(NEW_FILE)
    assert site.thing.read_bytes() == b"new" and len(os.listdir(site.tree)) == 1
    site.rollback()
    assert snapshot(site.tree) == old


def test_a_file_is_never_absent_while_it_is_replaced(site: Site) -> None:
    a_link(site)
    old = snapshot(site.tree)
    for _ in instants(site, lambda: site.set(NEW_FILE), lambda: fresh(site, a_link)):
        assert os.path.lexists(site.thing)
        site.rollback()
        assert snapshot(site.tree) == old


def test_capabilities_do_not_pass_to_new_bytes_but_come_back_with_the_old(site: Site) -> None:
    a_file(site)
    capability = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep
    try:
        os.setxattr(site.thing, "security.capability", capability)
    except OSError:
        pytest.skip("this file system has no capabilities")
    old = snapshot(site.tree)
    site.set({"type": "absent"})
    site.rollback()
    assert snapshot(site.tree) == old
    site.change("3 second").set("file", str(site.thing), dict(NEW_FILE))
    assert "security.capability" not in os.listxattr(site.thing)
    assert os.getxattr(site.thing, "user.note") == b"kept"


@pytest.mark.skipif(not ROOT, reason="mounts a file system")
def test_a_tree_on_another_file_system_comes_back_whole(site: Site) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", site.tree], check=True)
    try:
        a_full_directory(site)
        os.link(site.thing / "deep" / "file", site.thing / "same file")
        a_device_in = site.thing / "null"
        os.mknod(a_device_in, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with (site.thing / "sparse").open("wb") as file:
            file.truncate(1 << 30)
        old = snapshot(site.thing / "deep"), sorted(os.listdir(site.thing))
        site.set({"type": "absent"})
        assert not site.thing.exists()
        site.rollback()
        assert (snapshot(site.thing / "deep"), sorted(os.listdir(site.thing))) == old
        assert os.path.samefile(site.thing / "deep" / "file", site.thing / "same file")
        assert (site.thing / "sparse").stat().st_blocks < 1000 and stat.S_ISFIFO((site.thing / "fifo").lstat().st_mode)
        assert a_device_in.stat().st_rdev == os.makedev(1, 3)
    finally:
        subprocess.run(["umount", site.tree], check=True)


@pytest.mark.skipif(not ROOT, reason="mounts a file system")
def test_a_mount_below_a_directory_is_never_removed_with_it(site: Site) -> None:
    inside = site.thing / "a mount"
    inside.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inside], check=True)
    try:
        (inside / "precious").write_text("data")
        with pytest.raises(ModuleFailure, match="holds a mount point"):
            site.set({"type": "absent"})
        assert (inside / "precious").read_text() == "data"
    finally:
        subprocess.run(["umount", inside], check=True)


@pytest.mark.skipif(not ROOT, reason="another user's link")
def test_a_directory_that_became_another_users_link_is_not_followed(site: Site, tmp_path: Path) -> None:
    """A user swaps their directory for a link between root's look and root's change."""
    theirs, victim = site.tree / "theirs", tmp_path / "etc"
    theirs.mkdir()
    victim.mkdir()
    site.thing = theirs / "thing"
    change = site.change()
    begin = change.begin

    def swap(*step: Any) -> int:
        theirs.rename(site.tree / "moved")
        theirs.symlink_to(victim)
        os.chown(theirs, 1, 1, follow_symlinks=False)
        return begin(*step)

    change.begin = swap  # type: ignore[method-assign]
    with pytest.raises(ModuleFailure, match="another user made"):
        change.set("file", str(site.thing), dict(NEW_FILE))
    assert os.listdir(victim) == []


def test_a_file_that_became_a_link_keeps_what_it_points_to_untouched(site: Site, tmp_path: Path) -> None:
    a_file(site)
    victim = tmp_path / "shadow"
    victim.write_text("secret")
    victim.chmod(0o600)
    change = site.change()
    begin = change.begin

    def swap(*step: Any) -> int:
        site.thing.unlink()
        site.thing.symlink_to(victim)
        return begin(*step)

    change.begin = swap  # type: ignore[method-assign]
    change.set("file", str(site.thing), {"type": "file", "mode": 0o777})
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_what_could_not_be_journaled_is_no_change(site: Site) -> None:
    site.state = "/proc/nowhere"
    change = site.change()
    with pytest.raises(ModuleFailure, match="nothing was changed: the state before cannot be kept in /proc/nowhere"):
        change.set("file", str(site.thing), dict(NEW_FILE))
    assert not change.changed and change.diffs == []
    with pytest.raises(ModuleFailure, match="nothing was changed"):
        change.run_command(["touch", str(site.thing)], "touch")
    assert not change.changed and not site.thing.exists()


def test_after_a_stop_nothing_is_changed_any_more(site: Site) -> None:
    from threading import Event

    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        site.change(stop=stop).set("file", str(site.thing), dict(NEW_FILE))
    assert not site.thing.exists() and not os.path.exists(site.state)
