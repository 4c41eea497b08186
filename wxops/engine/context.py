"""What all tasks of a play share: its variables, its connections, where its events go, and whether to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from wxops.actions.catalog import Module
from wxops.actions.catalog import module as module_named
from wxops.engine.additions import Additions
from wxops.engine.connections import Connections
from wxops.engine.custom_stats import CustomStats
from wxops.engine.events import Event, Notice
from wxops.engine.options import RunOptions
from wxops.engine.owed import OwedHandlers
from wxops.engine.pace import Pace
from wxops.engine.state import HostState
from wxops.engine.stepping import Stepping
from wxops.engine.variables import Variables
from wxops.errors import WxopsError
from wxops.playbook.loader import Loader
from wxops.playbook.plays import Play, Task
from wxops.playbook.secrets import SecretRegistry


class Interrupted(WxopsError):
    """The operator pressed Ctrl-C."""

    exit_code = 130


@dataclass
class PlayContext:
    """One play in a run. ended: `meta: end_play` was met. pace: of hosts that go on their own. owed: of its batch."""

    play: Play
    options: RunOptions
    variables: Variables
    states: dict[str, HostState]
    connections: Connections
    pool: ThreadPoolExecutor
    loader: Loader
    secrets: SecretRegistry
    emit: Callable[[Event], None]
    stop: threading.Event
    additions: Additions
    name: str = ""
    ended: bool = False
    step: Stepping | None = None
    pace: Pace | None = None
    owed: OwedHandlers | None = None
    stats: CustomStats = field(default_factory=CustomStats)
    _noticed: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def module(self, task: Task) -> Module:
        return module_named(task.module, task.origin)

    @property
    def force_handlers(self) -> bool:
        """Do handlers run also on a host that failed?"""
        said = self.play.force_handlers
        return self.options.force_handlers if said is None else bool(said)

    def notice_once(self, text: str) -> None:
        """Tell the operator something that holds for the whole play."""
        with self._guard:
            fresh = text not in self._noticed
            self._noticed.add(text)
        if fresh:
            self.emit(Notice(text))

    def allows(self, task: str, host: str) -> bool:
        """Does an operator who said --step want it done? Of hosts that go on by themselves each is asked for."""
        return self.step is None or self.step.allows(task, None if self.play.strategy == "linear" else host)

    def sleep(self, seconds: float) -> None:
        """Wait, but not when the operator wants to stop."""
        if self.stop.wait(seconds):
            raise Interrupted("interrupted")

    def stop_if_asked(self) -> None:
        if self.stop.is_set():
            raise Interrupted("interrupted")

    def taking_part(self, hosts: list[str]) -> list[str]:
        """Those that neither failed nor were lost nor ended the play."""
        return [host for host in hosts if self.states[host].takes_part]
