"""Everything on a host's disk, as a mapping that can be compared: before and after a run, and after two engines."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What a host changes by itself, or keeps about changes: logs, caches, the journal, the clocks of timers.
ALWAYS_IGNORED = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/wxops", "/var/lib/docker",
    "/var/lib/containerd", "/var/lib/systemd", "/var/lib/private", "/var/lib/dpkg", "/var/lib/apt", "/etc/machine-id",
    "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/etc/ld.so.cache", "/etc/.updated", "/var/.updated", "/etc/resolv.conf", "/root/.docker", "/home/ops/.cache",
)  # fmt: skip

Tree = dict[str, tuple[Any, ...]]


def tree(root: Path, ignored: Sequence[str] = (), written_after: float | None = None) -> Tree:
    """Path -> (type, mode, owner, group, and digest or target), for everything on a host.

    Below /usr a file is told by size and time: hashing all of a distribution would take long.
    written_after: seconds since the epoch; what is younger there is told by its digest, what is older by its size, so
    that what two runs left can be compared.
    """
    skipped = {str(root) + path for path in (*ALWAYS_IGNORED, *ignored)}
    found: Tree = {}
    todo = [str(root)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.path in skipped:
                    continue
                found[entry.path[len(str(root)) :]] = _described(entry, written_after)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    return found


def _described(entry: os.DirEntry[str], written_after: float | None) -> tuple[Any, ...]:
    status = entry.stat(follow_symlinks=False)
    about = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return (*about, os.readlink(entry.path))
    if stat.S_ISREG(status.st_mode):
        in_usr = "/usr/" in entry.path and "/usr/local/" not in entry.path
        if in_usr and (written_after is None or status.st_mtime < written_after):
            return (*about, status.st_size, *([int(status.st_mtime)] if written_after is None else []))
        return (*about, hashlib.sha256(Path(entry.path).read_bytes()).hexdigest())
    return about


def differences(before: Tree, after: Tree) -> list[str]:
    """What differs, a line a path."""
    return [f"{path}: {before.get(path)} -> {after.get(path)}" for path in sorted(before.keys() | after.keys())
            if before.get(path) != after.get(path)]  # fmt: skip
