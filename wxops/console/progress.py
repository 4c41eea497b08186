"""How far a run is: each host's state, the time that has gone and is likely left; many hosts are counted by state."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from wxops.engine.events import COUNTS, Event, PlayStarted, Retrying, RunStarted, TaskResult, TaskStarted

FEW = 8
"""So many hosts have a line each; more are counted by their state."""
SURE_AFTER_S, SURE_PART = 5.0, 0.05
"""Before that, what is left cannot be told from what has been."""


@dataclass
class HostProgress:
    """One host in the play at hand. task: what it is at now; problem: why it takes part no more."""

    counts: Counter[str] = field(default_factory=Counter)
    task: str = ""
    since: float = 0.0
    problem: str = ""

    @property
    def state(self) -> str:
        return "failed" if self.problem else "at work" if self.task else "waiting"


class Progress:
    """Follows a run's events. `work` of RunStarted: about how many results there will be."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._work = self._done = 0
        self._of_host: Counter[str] = Counter()
        self.play = ""
        self.hosts: dict[str, HostProgress] = {}

    def take(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._began, self._work = self._clock(), event.work
            case PlayStarted():
                self.play = event.name
                self.hosts = {host: HostProgress() for host in event.hosts}
            case TaskStarted():
                for host in event.hosts:
                    known = self.hosts.setdefault(host, HostProgress())
                    known.task, known.since = event.task, self._clock()
            case Retrying() if event.host in self.hosts:
                self.hosts[event.host].task = f"{event.task} (tried again, {event.left} more times at most)"
            case TaskResult() if not event.is_item:
                self._result(event)

    def _result(self, event: TaskResult) -> None:
        self._done += 1
        self._of_host[event.host] += 1
        known = self.hosts.setdefault(event.host, HostProgress())
        known.counts[event.status] += 1
        known.task = ""
        if event.status in ("failed", "unreachable"):
            known.problem = f"{event.status} at {event.task}"
            self._work -= max(0, self._work // len(self.hosts) - self._of_host[event.host])  # it takes part no more

    @property
    def elapsed(self) -> float:
        return self._clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds that are likely left; None while that cannot be told."""
        part = self._done / self._work if self._work else 0.0
        if self.elapsed < SURE_AFTER_S or not SURE_PART <= part < 1:
            return None
        return self.elapsed * (1 - part) / part

    def lines(self) -> list[tuple[str, str, str]]:
        """(host, state, text) for each of a few hosts; none for one, or for many."""
        hosts = list(self.hosts.items())
        if not 1 < len(hosts) <= FEW:
            return []
        return [(name, host.state, self._of(host)) for name, host in hosts]

    def _of(self, host: HostProgress) -> str:
        counts = "  ".join(f"{host.counts[status]} {status}" for status in COUNTS if host.counts[status])
        now = host.problem
        if not now:
            now = f"{host.task}  {took(self._clock() - host.since)}" if host.task else "waits for the others"
        return "  ".join(filter(None, [counts, now]))

    def summary(self) -> str:
        """The play, its hosts by state, time gone and time left."""
        hosts = list(self.hosts.values())
        states = Counter(host.state for host in hosts)
        by_state = ", ".join(f"{states[state]} {state}" for state in ("at work", "waiting", "failed") if states[state])
        count = f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}" + (f": {by_state}" if len(hosts) > 1 else "")
        left = self.left
        times = took(self.elapsed) + (f", about {took(left)} left" if left is not None else "")
        return " · ".join(filter(None, [self.play, count, times]))


def took(seconds: float) -> str:
    """1.3s, 2m 05s, 3h 07m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"
