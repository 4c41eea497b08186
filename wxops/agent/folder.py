"""A directory held open while something in it changes, so that nobody can put another directory in its place.

A path may lead through directories that other users write to (/home/x, /tmp, a service's own). Between a look and a
change they could swap one for a link to /etc. So the way is walked once, part by part, and what follows uses names
in the directory that was reached. A link on the way is followed only if root or the agent's own user has made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator

WALK = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of a directory, for `dir_fd`. Raises OSError, with ELOOP where another user's link is in the way."""
    here = os.open("/", WALK)
    try:
        for part in os.path.abspath(path).split("/"):
            if part:
                inside = _enter(here, part, path)
                os.close(here)
                here = inside
        yield here
    finally:
        os.close(here)


def _enter(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, WALK | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            raise
        if found.st_uid not in (0, os.geteuid()):
            raise OSError(errno.ELOOP, "a link that another user made is in the way", path) from None
    return os.open(name, WALK, dir_fd=folder)


def sync(folder: int) -> None:
    """Make what was renamed, made or removed in this directory survive a power cut, where we may look into it."""
    try:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: str) -> None:
    """The same by path, for directories that are ours."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
