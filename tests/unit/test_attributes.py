"""Inode flags and SELinux labels: what chattr and chcon would set, read and written without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import inode_flags, selinux_label

NODUMP, NOATIME, EXTENTS = 0x40, 0x80, 0x80000


@pytest.mark.parametrize(
    ("now", "asked", "after"),
    [
        (EXTENTS, "d", EXTENTS | NODUMP),
        (EXTENTS | NOATIME, "=d", EXTENTS | NODUMP),
        (EXTENTS | NOATIME, "+d", EXTENTS | NOATIME | NODUMP),
        (EXTENTS | NOATIME | NODUMP, "-dA", EXTENTS),
        (EXTENTS | NODUMP, "=", EXTENTS),
    ],
)
def test_attributes_are_set_as_chattr_sets_them(now: int, asked: str, after: int) -> None:
    assert inode_flags.wanted({"flags": now}, asked) == {"flags": after}


@pytest.mark.parametrize("asked", ["e", "+q", "=é"])
def test_attributes_that_cannot_be_set_are_refused(asked: str) -> None:
    with pytest.raises(ModuleFailure, match="no file attribute that can be set"):
        inode_flags.wanted({"flags": 0}, asked)


def test_attributes_reach_the_file_system(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = inode_flags.KIND.read(str(file), None)  # type: ignore[arg-type]
    if not before:
        pytest.skip("the file system of the temporary directory has no inode flags")
    inode_flags.KIND.write(str(file), inode_flags.wanted(before, "+dA"))
    assert {"d", "A"} <= set(inode_flags.letters(inode_flags.read_flags(str(file)) or 0))
    inode_flags.KIND.write(str(file), before)
    assert inode_flags.KIND.read(str(file), None) == before  # type: ignore[arg-type]


def test_a_link_has_no_attributes(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert inode_flags.read_flags(str(tmp_path / "link")) is None


@pytest.mark.parametrize(
    ("now", "parts", "after"),
    [
        ("u:r:t:s0", (None, None, "etc_t", None), "u:r:etc_t:s0"),
        ("u:r:t", (None, None, "etc_t", None), "u:r:etc_t"),
        ("u:r:t:s0:c1,c2", ("system_u", None, None, "s0"), "system_u:r:t:s0"),
        ("", ("u", "r", "t", None), "u:r:t"),
    ],
)
def test_a_label_keeps_the_parts_that_nobody_asks_for(now: str, parts: tuple[str | None, ...], after: str) -> None:
    assert selinux_label.wanted({"label": now} if now else {}, parts, "/x") == {"label": after}


def test_a_file_without_a_label_needs_a_whole_one() -> None:
    with pytest.raises(ModuleFailure, match="has no SELinux label yet"):
        selinux_label.wanted({}, (None, None, "etc_t", None), "/x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write security attributes")
def test_a_label_reaches_the_file_system(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert selinux_label.KIND.read(str(file), None) == {}  # type: ignore[arg-type]
    selinux_label.KIND.write(str(file), {"label": "u:object_r:etc_t:s0"})
    assert selinux_label.KIND.read(str(file), None) == {"label": "u:object_r:etc_t:s0"}  # type: ignore[arg-type]
