"""Carries out the steps of a switch on real engines: their processes, /ready and /load, and who routes to them."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Protocol
from urllib.request import ProxyHandler, build_opener

from wxruntime.healthcheck import probe
from wxruntime.profile.switch import Admit, Drain, Replica, Start, Step

log = logging.getLogger("wxruntime")

PROBE_S = 10.0
POLL_S = 0.1
# A request that was sent just before its replica left the rotation may not be in the replica's count yet.
SETTLE_S = 1.0


class SwitchFailed(Exception):
    """A step that did not come to its end. Who is in the rotation serves on; the message says which step, and why."""


class Rotation(Protocol):
    """Who sends requests to replicas: a gateway."""

    def add(self, url: str) -> None:
        """From now on a request may go there."""

    def remove(self, url: str) -> None:
        """No request is sent there any more once this returns; those that were are answered."""


@dataclass(frozen=True)
class Running:
    """A replica's process, and where it answers."""

    process: subprocess.Popen[bytes]
    url: str


@dataclass(frozen=True)
class Patience:
    """Seconds: to load a model, to answer what runs, and to end after SIGTERM."""

    ready: float = 1800.0
    drain: float = 300.0
    stop: float = 60.0


class Rolling:
    """The replicas that run, by name, and the switch that is under way."""

    def __init__(
        self, start: Callable[[Replica], Running], rotation: Rotation, patience: Patience | None = None
    ) -> None:
        self._start, self._rotation, self._patience = start, rotation, patience or Patience()
        self.running: dict[str, Running] = {}

    def carry_out(self, steps: Iterable[Step]) -> None:
        """One step after the other. A new replica that does not become ready is stopped, and the others stay."""
        for step in steps:
            log.info("%s %s (%s)", type(step).__name__.lower(), step.replica.name, step.replica.precision)
            if isinstance(step, Start):
                self.running[step.replica.name] = self._start(step.replica)
            elif isinstance(step, Admit):
                self._admit(step.replica)
            elif isinstance(step, Drain):
                self._drain(step.replica)
            else:
                self._stop(step.replica)

    def _admit(self, replica: Replica) -> None:
        new = self.running[replica.name]
        deadline = time.monotonic() + self._patience.ready
        while (fault := probe(f"{new.url}/ready", PROBE_S)) is not None:
            if new.process.poll() is not None:
                fault = f"it ended with {new.process.returncode}"
            elif time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            self._end(replica)
            raise SwitchFailed(
                f"{replica.name} in {replica.precision} did not become ready: {fault}; the others serve on"
            )
        self._rotation.add(new.url)

    def _drain(self, replica: Replica) -> None:
        old = self.running[replica.name]
        self._rotation.remove(old.url)
        deadline = time.monotonic() + self._patience.drain
        time.sleep(SETTLE_S)
        while old.process.poll() is None and (left := outstanding(old.url)) != 0:
            if time.monotonic() >= deadline:
                self._rotation.add(old.url)
                what = "does not tell its load" if left is None else f"still answers {left}"
                raise SwitchFailed(f"{replica.name} {what} after {self._patience.drain:g} s; it serves on")
            time.sleep(POLL_S)

    def _stop(self, replica: Replica) -> None:
        if fault := self._end(replica):
            raise SwitchFailed(f"{replica.name} {fault}")

    def _end(self, replica: Replica) -> str | None:
        """SIGTERM, and what happened if it did not end by itself."""
        process = self.running.pop(replica.name).process
        process.terminate()
        try:
            process.wait(self._patience.stop)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"did not end within {self._patience.stop:g} s of SIGTERM and was killed"
        return None


def outstanding(url: str) -> int | None:
    """How many requests a replica has: those that run and those that wait. None when it does not tell."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/load", timeout=PROBE_S) as answer:
            load = json.load(answer)
        return int(load["running"]) + int(load["waiting"])
    except (OSError, HTTPException, ValueError, KeyError):
        return None
