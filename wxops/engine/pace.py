"""Who may do a task now, where each host goes through a play on its own (strategies free and host_pinned)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from wxops.playbook.plays import Task


class Pace:
    """Lets `forks` hosts work at a time, and of those `throttle` on the same task."""

    def __init__(self, forks: int) -> None:
        self._forks = threading.BoundedSemaphore(forks)
        self._turns: dict[int, threading.Semaphore] = {}
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def turn(self, task: Task, at_once: int) -> Iterator[None]:
        """Wait until the task may be done by one host more. at_once: its throttle, 0 for none."""
        with self._guard:
            turns = self._turns.setdefault(id(task), threading.Semaphore(at_once)) if at_once else None
        with turns or contextlib.nullcontext(), self._forks:
            yield
