"""The files of a directory as a manifest sees them: regular ones, and nothing that leads out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from wxruntime.models.errors import ModelError

# What a file system of its own has at its root, empty and closed to others.
NOT_ENTERED = frozenset({"lost+found"})


@dataclass(frozen=True, slots=True)
class Stray:
    """A path that is no regular file of the directory, and why."""

    path: str
    what: str
    fix: str


def regular_files(directory: Path, besides: Collection[str] = ()) -> dict[str, int]:
    """Path with "/" -> size, without the paths in `besides`. Raise ModelError at the first stray."""
    found: dict[str, int] = {}
    for each in walk(directory):
        if isinstance(each, Stray):
            raise ModelError(each.what, where=directory / each.path, fix=each.fix)
        path, size = each
        if path not in besides:
            found[path] = size
    return found


def linked_files(directory: Path) -> dict[str, int]:
    """As regular_files, but a link may lead anywhere, as in a hub's cache, and hidden files are left out.

    For a directory that an operator names as a source: its files are copied, its links are not.
    """
    found = {}
    for path, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            at = Path(path, name)
            try:
                status = at.stat()
            except OSError as error:
                raise ModelError(f"cannot be read: {error.strerror}", where=at) from None
            if not stat.S_ISREG(status.st_mode):
                raise ModelError("is not a regular file", where=at, fix="remove it")
            found[at.relative_to(directory).as_posix()] = status.st_size
    return found


def walk(directory: Path) -> Iterator[tuple[str, int] | Stray]:
    """Each file with its size, each stray with its reason; a link to a file inside the directory counts as the file."""
    root = directory.resolve()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = sorted(os.scandir(directory / below), key=lambda entry: entry.name)
        except OSError as error:
            yield _unreadable(below or ".", error)
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                if path not in NOT_ENTERED:
                    waiting.append(path)
            else:
                yield _look(root, Path(entry.path), path, entry.is_symlink())


def _look(root: Path, at: Path, path: str, link: bool) -> tuple[str, int] | Stray:
    try:
        target, status = at.resolve(strict=True), at.stat()
    except OSError as error:
        if link:
            return Stray(path, f"is a link to {os.readlink(at)}, which is not there", _COPY)
        return _unreadable(path, error)
    if link and not target.is_relative_to(root):
        return Stray(path, f"is a link out of the directory, to {os.readlink(at)}", _COPY)
    if not stat.S_ISREG(status.st_mode):
        return Stray(path, "is not a regular file", "remove it")
    return path, status.st_size


def _unreadable(path: str, error: OSError) -> Stray:
    return Stray(path, f"cannot be read: {error.strerror}", "give the user that serves the model the right to read it")


_COPY = "put the file itself there: `cp --recursive --dereference` copies a directory without its links"
