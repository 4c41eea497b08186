"""The locks of dpkg and apt: who holds one, and waiting for it."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Callable, List, Optional, Sequence

DPKG = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/cache/apt/archives/lock")
LISTS = ("/var/lib/apt/lists/lock",)
FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2): type, whence, start, length, pid
POLL_S = 0.5


def wait_for(paths: Sequence[str], timeout: float, say: Callable[[str], None]) -> Optional[str]:
    """Wait until nobody holds these locks; what there was to wait for, or None. Raises ModuleFailure after `timeout` s.

    say: is told, once for each holder, who is waited for.
    """
    started, told = time.monotonic(), ""
    while True:
        holder = next(filter(None, map(_holder, paths)), None)
        waited = time.monotonic() - started
        if holder is None:
            return "waited %.0f s for the package database: %s" % (waited, told) if told else None
        if holder != told:
            told = holder
            say("waiting for the package database: " + holder)
        if waited >= timeout:
            raise ModuleFailure("%s, still after %g s; wait for it to end, or raise `lock_timeout`" % (holder, timeout))
        time.sleep(POLL_S)


def _holder(path: str) -> Optional[str]:
    """Who holds a lock, in words."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    if kind == fcntl.F_UNLCK:
        return None
    return "%s is held by process %d (%s)" % (path, pid, " ".join(_command(pid)) or "of another namespace")


def _command(pid: int) -> List[str]:
    try:
        with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="replace") as file:
            return [word for word in file.read().split("\0") if word]
    except OSError:
        return []
