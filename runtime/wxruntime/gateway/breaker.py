"""A circuit breaker: a replica that fails again and again is left alone, and asked now and then whether it is back."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Literal

from wxruntime.gateway import config

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed: calls go through. Open: none do. Half-open: only probes do, and their outcome decides.

    Each time a probe fails the breaker stays open twice as long, up to a limit, give or take a quarter at random, so
    that many gateways do not ask a recovering replica in the same instant.
    """

    def __init__(self, settings: config.Breaker, changed: Callable[[State, State], None]) -> None:
        self._settings, self._changed = settings, changed
        self.state: State = "closed"
        self._failures: deque[float] = deque()
        self._open_for = settings.open_seconds
        self._open_until = 0.0
        self._probes_passed = 0

    def failed(self, now: float) -> None:
        """A call or a probe failed."""
        if self.state == "half-open":
            self._open_for = min(self._open_for * 2, self._settings.open_seconds_limit)
            self._open(now)
        elif self.state == "closed":
            self._failures.append(now)
            while self._failures[0] < now - self._settings.within_seconds:
                self._failures.popleft()
            if len(self._failures) >= self._settings.failures:
                self._open(now)

    def succeeded(self) -> None:
        """A call or a probe got an answer."""
        if self.state == "closed":
            if self._failures:
                self._failures.clear()
        elif self.state == "half-open":
            self._probes_passed += 1
            if self._probes_passed >= self._settings.probe_successes:
                self._open_for = self._settings.open_seconds
                self._failures.clear()
                self._become("closed")

    def open(self, now: float) -> None:
        """Open at once, whatever the count says: the replica is known to be out."""
        if self.state == "closed":
            self._open(now)

    def prove(self) -> None:
        """Let no call through before a probe has passed: what was added while calls come has to show itself first."""
        if self.state == "closed":
            self._become("half-open")

    def wants_probe(self, now: float) -> bool:
        """Whether it is time to ask the replica; an open breaker becomes half-open by that."""
        if self.state == "open" and now >= self._open_until:
            self._probes_passed = 0
            self._become("half-open")
        return self.state == "half-open"

    def _open(self, now: float) -> None:
        self._open_until = now + self._open_for * random.uniform(0.75, 1.25)
        self._become("open")

    def _become(self, state: State) -> None:
        before, self.state = self.state, state
        self._changed(before, state)
