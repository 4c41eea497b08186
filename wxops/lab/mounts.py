"""Mounts below a folder: listed and undone, so that a folder is never deleted through a mount."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.command import run


def _unescaped(field: str) -> str:
    """A path as /proc/self/mounts writes it, with its octal escapes (space, tab, newline, backslash) undone."""
    return field.encode().decode("unicode_escape")


def mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below `folder`, deepest first."""
    points = (Path(_unescaped(line.split()[1])) for line in Path("/proc/self/mounts").read_text().splitlines())
    below = [point for point in points if point == folder or folder in point.parents]
    return sorted(below, key=lambda point: len(point.parts), reverse=True)


def every_mount_table() -> str:
    """The mounts that any process of this machine sees, as text to look an overlay's lower layer up in."""
    tables = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            tables.add((process / "mounts").read_text())
    return "".join(tables)


def mount_overlay(lower: Path, upper: Path, work: Path, target: Path) -> None:
    """Mount `lower` under the writable `upper`. Renames of folders and hard links work as on one disk."""
    for folder in (upper, work, target):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=on,index=on,xino=on"
    try:
        run("mount", "-t", "overlay", "overlay", "-o", options, str(target))
    except LabError as error:
        raise LabError(
            f"The overlay for a lab host cannot be mounted: {error.what}",
            where=str(target),
            fix="Set WXOPS_LAB_DIR to a folder on ext4 or xfs: an overlay cannot be stacked on an overlay.",
        ) from error


def remove_tree(folder: Path) -> None:
    """Unmount all that is mounted at or below `folder`, then delete it. Raises rather than delete through a mount."""
    for point in mounts_below(folder):
        run("umount", str(point))
    left = mounts_below(folder)
    if left:
        raise LabError(f"{left[0]} is still mounted, so {folder} is kept.", fix=f"Run: umount {left[0]}")
    if folder.exists():
        shutil.rmtree(folder)
