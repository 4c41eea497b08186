"""One controller at a time on a host: a lock that the kernel lets go when its agent ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

from wxops.agent.journal import state_directory

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

ENDING_S = 3.0
"""How long an agent whose run is over may take to end: the next run begins before the last one's agent is gone."""


class HostLock:
    """The lock file holds who has it, as JSON, for the controller that comes second."""

    def __init__(self, directory: Optional[str] = None) -> None:
        self.path = os.path.join(directory or state_directory(), "lock")
        self._descriptor: Optional[int] = None
        self._is_held = False

    def take(self, holder: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Take the lock; None if that worked, else who has it. Raises OSError when the file cannot be made.

        Another agent of the same run may have it: the run knows one machine by two names, acts there as two users, or
        has come back after its link broke. That is as good, until that agent ends: to be tried again before each task.
        """
        if self._is_held:
            return None
        if self._descriptor is None:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + ENDING_S
        while not _locked(self._descriptor):
            other = _holder(self._descriptor)
            if other.get("run") == holder["run"]:
                return None
            if time.monotonic() > deadline:
                return other
            time.sleep(0.05)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)
        self._is_held = True
        return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> Dict[str, Any]:
    """Who has the lock. A holder that took it this instant has not written its name yet."""
    for _ in range(20):
        try:
            found = json.loads(os.pread(descriptor, 65536, 0))
            return found if isinstance(found, dict) else {}
        except ValueError:
            time.sleep(0.05)
    return {}
