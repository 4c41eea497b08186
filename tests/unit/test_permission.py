"""What a user may not do with a file is said before it is tried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.permission import refusal

NOBODY = 65534
ABSENT = {"type": "absent"}


def a_file(content: bytes = b"", uid: int = NOBODY, mode: int = 0o644) -> dict[str, Any]:
    return {"type": "file", "content": Content(content), "uid": uid, "gid": uid, "mode": mode}


@contextmanager
def as_nobody() -> Iterator[None]:
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of nobody's, below directories that nobody can pass."""
    for path in [tmp_path, *tmp_path.parents][:3]:
        path.chmod(0o755)
    os.chown(tmp_path, NOBODY, NOBODY)
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ABSENT, a_file(), None),
        (a_file(b"x"), a_file(b"y"), None),
        (a_file(), a_file(mode=0o600), None),
        (a_file(), a_file(uid=0), "Operation not permitted"),
        (ABSENT, a_file(uid=0), "Operation not permitted"),
        (a_file(), {**a_file(), "gid": 0}, "Operation not permitted"),
        (a_file(uid=0), a_file(uid=0, mode=0o600), "Operation not permitted"),
        (a_file(b"x", uid=0), a_file(b"y", uid=NOBODY), None),
        (a_file(b"x", uid=0), a_file(b"y", uid=0), "Operation not permitted"),
    ],
)
def test_in_a_directory_of_ones_own(
    before: dict[str, Any], after: dict[str, Any], said: str | None, folder: Path
) -> None:
    with as_nobody():
        assert refusal(str(folder / "file"), before, after) == said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_in_a_directory_of_somebody_else(folder: Path) -> None:
    os.chown(folder, 0, 0)
    (folder / "file").touch()
    with as_nobody():
        assert refusal(str(folder / "new"), ABSENT, a_file()) == "Permission denied"
        assert refusal(str(folder / "file"), a_file(), ABSENT) == "Permission denied"
        assert refusal(str(folder / "file"), a_file(), a_file(mode=0o600)) is None
    assert refusal(str(folder / "new"), ABSENT, a_file()) is None, "root may"


def test_on_a_read_only_file_system() -> None:
    read_only = next((line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
                      if line.split()[3].split(",")[0] == "ro" and Path(line.split()[1]).is_dir()), None)  # fmt: skip
    if read_only is None:
        pytest.skip("nothing is mounted read-only here")
    assert refusal(f"{read_only}/new", ABSENT, a_file()) == "Read-only file system"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_of_somebody_else_is_replaced_where_all_may_write_and_cannot_be_given_back(folder: Path) -> None:
    """As with Ansible: the directory lets this user rename over it, and what is there then is this user's."""
    from wxops.agent.change import Change, View
    from wxops.agent.content import Content
    from wxops.agent.journal import Journal
    from wxops.agent.modules.rollback import rollback

    theirs = folder / "file"
    theirs.write_text("old")
    theirs.chmod(0o644)
    with as_nobody():
        change = Change(View(), Journal("1", root=str(folder / "state")))
        assert change.set("file", str(theirs), {"type": "file", "content": Content(b"new")})
        assert theirs.read_text() == "new"
        now = theirs.stat()
        assert (now.st_uid, now.st_gid, now.st_mode & 0o777) == (NOBODY, NOBODY, 0o644)
        back = rollback(Change(View(), Journal("2", root=str(folder / "state")), module="rollback"), "1")
    assert back["steps_back"] == 0 and "belonged to root" in back["irreversible"][0]
    assert theirs.read_text() == "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_write_a_file_touches_it_and_cannot_give_its_times_back(folder: Path) -> None:
    """As touch(1) does: to now the kernel lets everybody set them who may write, to anything else only the owner."""
    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.modules.file import file
    from wxops.agent.modules.rollback import rollback

    theirs = folder / "file"
    theirs.write_text("")
    theirs.chmod(0o666)
    os.utime(theirs, (1, 1))
    with as_nobody():
        change = Change(View(), Journal("1", root=str(folder / "state")))
        file(change, str(theirs), state="touch")
        assert change.changed and theirs.stat().st_mtime > 1
        with pytest.raises(ModuleFailure, match="Operation not permitted"):
            change.set("times", str(theirs), {"mtime_ns": 0})
        back = rollback(Change(View(), Journal("2", root=str(folder / "state")), module="rollback"), "1")
    assert "only its owner can set" in back["irreversible"][0]
