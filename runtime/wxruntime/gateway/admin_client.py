"""Gateways as the rotation of a switch: replicas added, drained and removed over their admin sockets (admin.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wxruntime.profile.rolling import POLL_S, NoGateway, RotationError
from wxruntime.unix_http import UnixHTTPError, ask

REPLICAS = "/admin/replicas"


@dataclass(frozen=True)
class Gateways:
    """All gateways that send requests for one model to the same engines."""

    sockets: Sequence[Path]
    model: str
    settings: Mapping[str, Any]
    """What a replica that is added has beside its URL, as the gateway's file names it."""

    def add(self, url: str, seconds: float) -> None:
        """Each is asked, also after one that fails: of those that drained it, as many as can undo that."""
        deadline = time.monotonic() + seconds
        self._each(lambda socket: self._add(socket, url))
        self._each(lambda socket: self._wait_until_up(socket, url, seconds, deadline))

    def drain(self, url: str) -> None:
        """Each is looked at before one is asked: while one does not answer, none stops sending requests."""
        for socket in [each for each in self.sockets if self._replica(each, url) is not None]:
            self._asked(socket, "POST", f"{REPLICAS}/drain", {"model": self.model, "url": url})

    def running(self, url: str) -> int:
        models = [self._model(socket) for socket in self.sockets]
        there = [each for model in models for each in (*model["replicas"], *model["leaving"]) if each["url"] == url]
        return sum(int(each["running"]) for each in there)

    def remove(self, url: str) -> None:
        """Each is asked, also after one that fails."""
        self._each(lambda socket: self._remove(socket, url))

    # -- what a plan wants to know

    def serving(self, url: str) -> bool:
        """Whether all gateways send requests there."""
        return all((found := self._replica(each, url)) is not None and found["state"] == "up" for each in self.sockets)

    def load(self) -> int:
        """Sequences that run or wait for the model, as all gateways see it."""
        models = [self._model(socket) for socket in self.sockets]
        return sum(int(each["running"]) + int(each["waiting"]) for each in models)

    def urls(self) -> Mapping[str, frozenset[str]]:
        """Of each gateway, by its socket: the replicas that it knows, with those that have left and still answer."""
        models = {str(socket): self._model(socket) for socket in self.sockets}
        return {
            socket: frozenset(str(each["url"]) for each in (*model["replicas"], *model["leaving"]))
            for socket, model in models.items()
        }

    def elsewhere(self, here: Sequence[str]) -> int:
        """Calls that replicas at other URLs than these take at once, by what the first gateway knows."""
        told = self._model(self.sockets[0])["replicas"]
        return sum(int(each["concurrent"]) for each in told if each["state"] == "up" and each["url"] not in here)

    def settings_of(self, socket: Path, url: str) -> Mapping[str, Any]:
        """Those that a replica has there already, or those of new ones."""
        found = self._replica(socket, url)
        return found["settings"] if found is not None else self.settings

    # --

    def _each(self, ask: Callable[[Path], None]) -> None:
        """Raises RotationError with all that failed, as NoGateway where that is all that failed."""
        failed = []
        for socket in self.sockets:
            try:
                ask(socket)
            except RotationError as error:
                failed.append(error)
        if failed:
            gone = all(isinstance(each, NoGateway) for each in failed)
            raise (NoGateway if gone else RotationError)("; ".join(map(str, failed)))

    def _add(self, socket: Path, url: str) -> None:
        self._asked(socket, "POST", REPLICAS, {**self.settings_of(socket, url), "model": self.model, "url": url})

    def _wait_until_up(self, socket: Path, url: str, seconds: float, deadline: float) -> None:
        while (found := self._replica(socket, url)) is None or found["state"] != "up":
            if time.monotonic() >= deadline:
                why = f": {found['trouble']}" if found is not None and found["trouble"] else ""
                raise RotationError(f"{socket} had no token of {url} in {seconds:g} s{why}")
            time.sleep(POLL_S)

    def _remove(self, socket: Path, url: str) -> None:
        if self._replica(socket, url) is not None:
            self._asked(socket, "DELETE", REPLICAS, {"model": self.model, "url": url})

    def _model(self, socket: Path) -> Any:
        told = self._asked(socket, "GET", REPLICAS)["models"]
        for each in told:
            if each["model"] == self.model:
                return each
        names = ", ".join(each["model"] for each in told)
        raise RotationError(f"the gateway at {socket} has no model {self.model!r}, but {names}: say which with --name")

    def _replica(self, socket: Path, url: str) -> Any:
        return next((each for each in self._model(socket)["replicas"] if each["url"] == url), None)

    @staticmethod
    def _asked(socket: Path, method: str, target: str, body: Any = None) -> Any:
        try:
            reply = ask(socket, method, target, body)
        except UnixHTTPError as error:
            raise NoGateway(f"no gateway answers at {error}; its file names the socket under listen.admin") from None
        body = reply.body if isinstance(reply.body, dict) else {}
        if reply.status >= 300:
            refusal = body.get("error")
            if not isinstance(refusal, dict) or "message" not in refusal:
                raise RotationError(f"what answers at {socket} is no gateway's admin socket: HTTP {reply.status}")
            raise RotationError(f"the gateway at {socket} refuses: {refusal['message']}")
        if method == "GET" and not isinstance(body.get("models"), list):
            raise RotationError(f"what answers at {socket} is no gateway's admin socket: it tells no models")
        return body


def like_those_there(sockets: Sequence[Path], model: str) -> Gateways:
    """New replicas get the settings of the model's first one: its key, its certificates, how many calls it takes."""
    gateways = Gateways(sockets, model, {})
    found = gateways._model(sockets[0])["replicas"]
    return Gateways(sockets, model, found[0]["settings"] if found else {})
