"""Carries out the steps of a switch on real engines, with whoever starts them and whoever routes to them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from wxruntime.profile.switch import Admit, Drain, Remove, Replica, Start, Step, Stop

log = logging.getLogger("wxruntime")

POLL_S = 0.1


class SwitchFailed(Exception):
    """A step that did not come to its end. Who is in the rotation serves on; the message says which step, and why."""


class LauncherError(Exception):
    """An engine that cannot be started or ended."""


class RotationError(Exception):
    """A gateway that does not do what it is asked."""


class NoGateway(RotationError):
    """A gateway that does not answer."""


class Rotation(Protocol):
    """Who sends requests to replicas: the gateways. All raise RotationError."""

    def add(self, url: str, seconds: float) -> None:
        """From now on requests may go there. Returns when all gateways have had a token of it.

        One that fails keeps none of the others from being asked.
        """

    def drain(self, url: str) -> None:
        """No request is sent there any more once this returns; those that were are answered."""

    def running(self, url: str) -> int:
        """How many requests that were sent there are not answered yet."""

    def remove(self, url: str) -> None:
        """It is not known there any more. One that fails keeps none of the others from being asked."""


class Launcher(Protocol):
    """Who runs engines on this host: Docker, or processes. All raise LauncherError."""

    def alone(self) -> AbstractContextManager[None]:
        """No other switch of these engines begins within."""

    def url(self, name: str) -> str:
        """Where the gateways reach it."""

    def start(self, replica: Replica) -> None:
        """Make it, or start it again where it was stopped. One that could not be started is not there afterwards."""

    def fault(self, name: str) -> str | None:
        """What it lacks to be ready; None when it is."""

    def ended(self, name: str) -> str | None:
        """How it ended, if it did."""

    def outstanding(self, name: str) -> int | None:
        """Requests that it has, also of others than the gateways; None when it does not tell."""

    def admitted(self, name: str) -> None:
        """Note that all gateways send requests there: from now on they know its URL."""

    def stop(self, name: str) -> str | None:
        """SIGTERM and its end, and what happened if it did not end by itself. It can be started again."""

    def remove(self, name: str) -> None:
        """Forget one that was stopped."""


@dataclass(frozen=True)
class Patience:
    """Seconds: to load a model, to make a first token for a gateway, and to answer what runs."""

    ready: float = 1800.0
    token: float = 120.0
    drain: float = 300.0


class Rolling:
    """One switch. say: told of each step as it begins."""

    def __init__(
        self,
        launcher: Launcher,
        rotation: Rotation,
        patience: Patience | None = None,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self._launcher, self._rotation, self._say = launcher, rotation, say
        self._patience = patience or Patience()
        self._started: list[Replica] = []  # by this switch, and not in the rotation yet
        self._drained: list[Replica] = []  # by this switch, and running still
        self._stopped: list[Replica] = []  # by this switch, and nobody in their place yet

    def carry_out(self, steps: Iterable[Step]) -> None:
        """One step after the other. At a failure new ones are taken away, and who made room for them comes back."""
        for step in steps:
            self._say(told(step))
            try:
                self._do(step)
            except (LauncherError, RotationError, SwitchFailed) as error:
                raise SwitchFailed(". ".join([f"{told(step)}: {error}", *self._take_back(step.replica)])) from None

    def _do(self, step: Step) -> None:
        replica = step.replica
        if isinstance(step, Start):
            self._launcher.start(replica)
            self._started.append(replica)
        elif isinstance(step, Admit):
            self._admit(replica)
            self._started = [each for each in self._started if each is not replica]
        elif isinstance(step, Drain):
            self._drain(replica)
        elif isinstance(step, Stop):
            self._drained = [each for each in self._drained if each is not replica]
            self._stopped.append(replica)
            if fault := self._launcher.stop(replica.name):
                self._say(f"{replica.name} {fault}")
            # Last: of a switch that is killed before, an engine is left that gateways know and the next one may stop.
            self._rotation.remove(self._launcher.url(replica.name))
        else:
            self._rotation.remove(self._launcher.url(replica.name))
            self._launcher.remove(replica.name)
            self._stopped = [each for each in self._stopped if each is not replica]

    def _admit(self, replica: Replica) -> None:
        self._wait_until_ready(replica)
        self._rotation.add(self._launcher.url(replica.name), self._patience.token)
        self._launcher.admitted(replica.name)

    def _wait_until_ready(self, replica: Replica) -> None:
        deadline = time.monotonic() + self._patience.ready
        while (fault := self._launcher.fault(replica.name)) is not None:
            if ended := self._launcher.ended(replica.name):
                raise SwitchFailed(ended)
            if time.monotonic() >= deadline:
                raise SwitchFailed(f"not ready after {self._patience.ready:g} s: {fault}")
            time.sleep(POLL_S)

    def _drain(self, replica: Replica) -> None:
        url = self._launcher.url(replica.name)
        self._drained.append(replica)  # first: a gateway may have done it when the next one fails
        self._rotation.drain(url)
        deadline = time.monotonic() + self._patience.drain
        while left := self._rotation.running(url) or self._launcher.outstanding(replica.name) or 0:
            if time.monotonic() >= deadline:
                raise SwitchFailed(f"it still answers {left} after {self._patience.drain:g} s")
            time.sleep(POLL_S)

    def _take_back(self, at: Replica) -> Sequence[str]:
        """What can be done after a failure, in sentences: new ones away, those before them back."""
        told: list[str] = []
        told.extend(self._take_away(new) for new in self._started)
        for old in self._drained:
            try:
                self._rotation.add(self._launcher.url(old.name), self._patience.token)
                told.append(f"{old.name} gets requests again")
            except (LauncherError, RotationError) as error:
                told.append(f"{old.name} runs, and gets requests again from all gateways but these: {error}")
        for old in self._stopped:
            try:
                self._launcher.start(old)
                self._admit(old)
                told.append(f"{old.name} is back")
            except RotationError as error:
                told.append(f"{old.name} runs again, and gets requests from all gateways but these: {error}")
            except (LauncherError, SwitchFailed) as error:
                told.append(f"{old.name} could not be started again: {error}")
        return [*told, "the others serve on"]

    def _take_away(self, new: Replica) -> str:
        """Also where a gateway is gone: whoever made room needs memory. One that refuses may send requests there."""
        but = ""
        try:
            try:
                self._rotation.remove(self._launcher.url(new.name))
            except NoGateway as error:
                but = f", though {error}"
            self._launcher.stop(new.name)
            self._launcher.remove(new.name)
        except (LauncherError, RotationError) as error:
            return f"{new.name} could not be taken away: {error}"
        return f"{new.name} was taken away{but}"


def told(step: Step) -> str:
    """A step in words."""
    replica = step.replica
    where = ", ".join(replica.devices)
    if isinstance(step, Start):
        return f"start {replica.name} in {replica.precision} on {where}, {replica.memory / 2**30:.1f} GiB"
    if isinstance(step, Admit):
        return f"admit {replica.name}: ready, and a token for each gateway"
    if isinstance(step, Drain):
        return f"drain {replica.name} ({replica.precision}): no new requests, those that run end"
    return f"{'remove' if isinstance(step, Remove) else 'stop'} {replica.name}"
