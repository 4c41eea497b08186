"""One controller at a time on a host: a lock that the kernel lets go when its agent ends, however it ends.

`lock` is held to its end by the run that changes the host. A command of that run may start another one against the same
host, as scripts that call wxops do: it works below the first and holds `lock.1`, one that a command of its own starts
holds `lock.2`. A run knows from its environment (WITHIN) whose command started it; nobody else gets below a lock.

Two of them never change the host at once: an agent whose run holds one lock shares the next one while it works on a
task, but not while it waits for the task's command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import state_directory

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional

    Holder = Dict[str, Any]

WITHIN = "WXOPS_WITHIN"
"""In the environment of a task's command: the runs that wait for it, the outermost first, with colons between them."""
ENDING_S = 3.0
"""How long an agent whose run is over may take to end: the next run begins before the last one's agent is gone."""
TURN_S = 60.0
"""How long a run waits for one above or below it: it ends, or comes to its next command, by itself."""
PAUSE_S = 0.05


class HostLock:
    """A lock file holds who has it, as JSON, for the controller that comes second."""

    def __init__(self, directory: Optional[str] = None) -> None:
        self.path = os.path.join(directory or state_directory(), "lock")
        self._descriptor: Optional[int] = None
        self._level = 0
        self._below: Optional[int] = None
        self._has_turn = False

    def take(self, holder: Holder, stop: Callable[[], bool] = lambda: False) -> Optional[Holder]:
        """Take the lock; None if that worked, else who has it. Raises OSError when the file cannot be made.

        holder: who wants it; its `within` names the runs below which it may work.
        Another agent of the same run may have it: the run knows one machine by two names, acts there as two users, or
        has come back after its link broke. That is as good, until that agent ends: to be tried again before each task.
        """
        if self._descriptor is not None:
            return None
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        began = time.monotonic()
        while True:
            other = self._try(holder)
            waits = TURN_S if other and other.get("run") in holder.get("within", ()) else ENDING_S
            if other is None or stop() or time.monotonic() > began + waits:
                return other
            time.sleep(PAUSE_S)

    def turn(self, stop: Callable[[], bool] = lambda: False) -> Optional[Holder]:
        """Begin to change the host, until `lend`; None if that worked, else the run below, which does not end."""
        if self._has_turn:
            return None
        if self._below is None:
            self._below = self._open(self._level + 1)
        deadline = time.monotonic() + TURN_S
        while not _locked(self._below, fcntl.LOCK_SH):
            if stop() or time.monotonic() > deadline:
                return _holder(self._below)
            time.sleep(PAUSE_S)
        self._has_turn = True
        return None

    def lend(self) -> bool:
        """A run that a command started may change the host now. Was it ours to change?"""
        had, self._has_turn = self._has_turn, False
        if had and self._below is not None:
            fcntl.flock(self._below, fcntl.LOCK_UN)
        return had

    def _try(self, holder: Holder) -> Optional[Holder]:
        """Take the first lock that no run above holds; None if this run has it now, else who is in the way."""
        above: Holder = {}
        for level in range(len(holder.get("within", ())) + 1):
            descriptor = self._open(level)
            if _locked(descriptor, fcntl.LOCK_EX):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(holder).encode(), 0)
                self._descriptor = descriptor
                self._stand_at(level)
                return None
            is_free = _locked(descriptor, fcntl.LOCK_SH)  # but for the run above, which is at work
            other = above if is_free else _holder(descriptor)
            os.close(descriptor)
            if other.get("run") == holder["run"]:
                self._stand_at(level)
                return None
            if is_free or other.get("run") not in holder.get("within", ()):
                return other
            above = other
        return above

    def _stand_at(self, level: int) -> None:
        """The run above may have ended since this one began below it."""
        if level != self._level and self._below is not None:
            os.close(self._below)
            self._below, self._has_turn = None, False
        self._level = level

    def _open(self, level: int) -> int:
        path = "%s.%d" % (self.path, level) if level else self.path
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Below:
    """What a command of this run is given: to start runs that work below this one while it lasts."""

    def __init__(self, lock: HostLock, holder: Holder, stop: Callable[[], bool]) -> None:
        self._lock, self._stop = lock, stop
        self.environment = {WITHIN: ":".join([*holder.get("within", ()), holder["run"]])}

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While a command runs. Raises ModuleFailure when it has left a run behind that does not end."""
        had = self._lock.lend()
        try:
            yield
        finally:
            left = self._lock.turn(self._stop) if had else None
        if left is not None:
            raise ModuleFailure("the command has ended, but not the run that it started: %s" % described(left))


def described(holder: Holder) -> str:
    """Who has a lock, for an error."""
    return "%s of %s on %s, since %s" % tuple(holder.get(key, "?") for key in ("run", "user", "controller", "started"))


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> Holder:
    """Who has the lock. A holder that took it this instant has not written its name yet."""
    for _ in range(20):
        try:
            found = json.loads(os.pread(descriptor, 65536, 0))
            return found if isinstance(found, dict) else {}
        except ValueError:
            time.sleep(0.05)
    return {}
