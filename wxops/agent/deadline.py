"""A task's `timeout:`. When it is over a running command is ended, and nothing more is changed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from wxops.agent.process import Running

if TYPE_CHECKING:
    from typing import Any, Dict


class Deadline:
    """What one item of a task may take. Within it `running` and `stop` are the task's own; it acts as an Event."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        """stop: set when the whole session is to stop."""
        self._seconds, self._stop = seconds, stop
        self.over = False
        self.running = Running()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._timer.cancel()

    def is_set(self) -> bool:
        return self.over or self._stop.is_set()

    def result(self) -> Dict[str, Any]:
        """What the task came to, as Ansible says it."""
        return {"failed": True, "msg": "Timed out after %g second(s)." % self._seconds,
                "timedout": {"period": self._seconds}}  # fmt: skip

    def _end(self) -> None:
        self.over = True
        self.running.interrupt()
