"""Engines of a profile as Docker's containers: a new one is what the old one is, but for its command and its port.

Image, mounts, GPUs, user, limits, health check and log are those with which the old one was deployed, so there is
nothing to be said twice. When the old one is removed the new one gets its name, and the next deployment finds it.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wxruntime.profile.command import Command
from wxruntime.profile.model import Precision
from wxruntime.profile.rolling import LauncherError
from wxruntime.profile.switch import Replica
from wxruntime.unix_http import Reply, UnixHTTPError, ask

SERVICE, PRECISION, REPLACES = "io.wxops.replica-of", "io.wxops.precision", "io.wxops.replaces"
# The volume that stands for a switch under way, and its labels.
MARK, CONTROLLER, HOST = "wxops-switch", "io.wxops.controller", "io.wxops.host"
# What Docker gives to each container itself, and what it calls after the container.
OWN = ("Hostname", "Domainname", "MacAddress")


@dataclass(frozen=True)
class Container:
    """told: what `docker inspect` tells."""

    name: str
    precision: Precision
    service: str
    told: Mapping[str, Any]

    @property
    def replaces(self) -> str | None:
        found: str | None = (self.told["Config"].get("Labels") or {}).get(REPLACES)
        return found

    @property
    def running(self) -> bool:
        return bool(self.told["State"]["Running"])

    @property
    def port(self) -> int:
        """The published one."""
        for bindings in (self.told["HostConfig"].get("PortBindings") or {}).values():
            for each in bindings or ():
                if each.get("HostPort"):
                    return int(each["HostPort"])
                raise LauncherError(f"{self.name} is at a port that Docker chose anew: deploy it at one")
        raise LauncherError(f"{self.name} publishes no port, so another cannot stand beside it")

    @property
    def devices(self) -> tuple[str, ...]:
        """The GPUs that it was given by their numbers; () for all, or for a count of them."""
        asked = self.told["HostConfig"].get("DeviceRequests") or []
        numbers = [number for each in asked for number in each.get("DeviceIDs") or []]
        return tuple(f"GPU {number}" for number in numbers) if all(each.isdigit() for each in numbers) else ()


@dataclass(frozen=True)
class Containers:
    """names: the containers that were deployed. commands: what the profile runs in each of its precisions."""

    socket: Path
    names: Sequence[str]
    commands: Mapping[Precision, Command]
    ports: Sequence[int]
    address: str = "127.0.0.1"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One switch for a Docker: all count the same memory. Raises LauncherError while another is under way.

        A volume is the mark, since all controllers share Docker, and Docker makes one of a name. Its label says on
        which controller the switch is. There a Unix socket tells whether it still is, which the kernel takes away with
        its process: so a mark that was left behind is taken over there, and nowhere else.
        """
        told = self._asked("GET", "/info").body
        if not isinstance(told, dict) or "ID" not in told:
            raise LauncherError(f"what answers at {self.socket} is not Docker: it has no ID")
        with socket.socket(socket.AF_UNIX) as here:
            try:
                here.bind(f"\0{MARK}-{told['ID']}")  # an abstract one: unix(7)
            except OSError:
                raise LauncherError(f"another switch of containers at {self.socket} is under way") from None
            mine = {CONTROLLER: _controller(), HOST: platform.node()}
            mark = self._asked("POST", "/volumes/create", {"Name": MARK, "Labels": mine}).body
            found = mark.get("Labels") or {}
            if found.get(CONTROLLER) != mine[CONTROLLER]:
                raise LauncherError(
                    f"another switch of this Docker's containers is under way, from {found.get(HOST)} since "
                    f"{mark.get('CreatedAt')}. If it was killed, begin it again there, or take its mark away: "
                    f"docker volume rm {MARK}"
                )
            try:
                yield
            finally:
                with suppress(LauncherError):  # it is ours to take over the next time
                    self._asked("DELETE", f"/volumes/{MARK}")

    # -- what is there

    def found(self) -> list[Container]:
        """Those that were deployed, and those that took their places, in the order in which they were made."""
        listed = self._listed()
        inspected = [self._asked("GET", f"/containers/{each['Id']}/json").body for each in listed if self._ours(each)]
        ours = [each for each in map(self._container, inspected) if each is not None]
        if missing := [name for name in self.names if all(each.service != name for each in ours)]:
            there = ", ".join(sorted(name for each in listed for name in _names(each))) or "none"
            raise LauncherError(f"Docker has no container {', '.join(missing)}; it has {there}")
        return sorted(ours, key=lambda each: str(each.told["Created"]))

    def _listed(self) -> list[Mapping[str, Any]]:
        """All containers, as `docker ps -a` tells them."""
        told = self._asked("GET", "/containers/json?all=1").body
        if not isinstance(told, list):
            raise LauncherError(f"what answers at {self.socket} is not Docker: it lists no containers")
        return told

    def _ours(self, listed: Mapping[str, Any]) -> bool:
        return bool(_names(listed) & set(self.names)) or (listed.get("Labels") or {}).get(SERVICE) in self.names

    def _container(self, told: Mapping[str, Any]) -> Container | None:
        name = told["Name"].removeprefix("/")
        labels = told["Config"].get("Labels") or {}
        service = name if name in self.names else str(labels.get(SERVICE))
        if service not in self.names:
            return None
        return Container(name, self._precision(name, told["Config"]), service, told)

    def _precision(self, name: str, config: Mapping[str, Any]) -> Precision:
        """By its command: what a label says could be another's."""
        runs = tuple(config.get("Entrypoint") or ()), tuple(config.get("Cmd") or ())
        for precision, command in self.commands.items():
            if runs == (command.entrypoint, command.arguments):
                return precision
        raise LauncherError(
            f"{name} runs what the profile comes to in none of its precisions: deploy the profile first"
        )

    def url(self, name: str) -> str:
        return f"http://{self.address}:{self._one(name).port}"

    # -- rolling.Launcher

    def start(self, replica: Replica) -> None:
        made = all(each.name != replica.name for each in self.found())
        if made:
            self._create(replica)
        try:
            self._asked("POST", f"/containers/{quote(replica.name)}/start")
        except LauncherError:
            if made:
                self._asked("DELETE", f"/containers/{quote(replica.name)}?v=1")
            raise

    def fault(self, name: str) -> str | None:
        """By its health check, which asks it itself; one without is ready for the gateway's question once it runs."""
        state = self._one(name).told["State"]
        if not state["Running"]:
            return f"it is {state['Status']}"
        health = (state.get("Health") or {}).get("Status", "none")
        return None if health in ("healthy", "none") else f"Docker calls it {health}"

    def ended(self, name: str) -> str | None:
        told = self._one(name).told
        if told["RestartCount"]:  # by its restart policy, at once: its exit code is not told any more
            return ": ".join(["it ends again and again", *self._last_words(name)])
        if told["State"]["Running"]:
            return None
        return ": ".join([f"it ended with {told['State']['ExitCode']}", *self._last_words(name)])

    def outstanding(self, name: str) -> int | None:
        """It may be on another machine: the gateways know what they have there."""
        return None

    def admitted(self, name: str) -> None:
        """Labels are for ever: a container is new while the one that it replaces is there."""

    def stop(self, name: str) -> str | None:
        """Within the time that it was deployed with."""
        patience = self._one(name).told["Config"].get("StopTimeout") or 10
        self._asked("POST", f"/containers/{quote(name)}/stop", timeout=patience + 60.0)
        code = self._one(name).told["State"]["ExitCode"]
        return f"did not end within {patience} s of SIGTERM and was killed" if code == 137 else None

    def remove(self, name: str) -> None:
        heir = next((each for each in self.found() if each.replaces == name and each.name != name), None)
        self._asked("DELETE", f"/containers/{quote(name)}?v=1")
        if heir is not None:
            self._asked("POST", f"/containers/{quote(heir.name)}/rename?name={quote(name)}")

    # --

    def _create(self, replica: Replica) -> None:
        there = self.found()
        like = next((each for each in there if each.name == replica.replaces), None)
        if like is None:
            raise LauncherError(f"there is no container {replica.replaces} to make another like: deploy one first")
        command, config = self.commands[replica.precision], dict(like.told["Config"])
        host = dict(like.told["HostConfig"])
        port = self._free_port()
        host["PortBindings"] = {
            inside: [{**each, "HostPort": str(port)} for each in bindings]
            for inside, bindings in host["PortBindings"].items()
        }
        labels = {**(config.get("Labels") or {}), SERVICE: like.service, PRECISION: replica.precision}
        made = {name: value for name, value in config.items() if name not in OWN} | {
            "Image": config["Image"] if "@sha256:" in config["Image"] else like.told["Image"],
            "Entrypoint": command.entrypoint, "Cmd": command.arguments,
            "Env": _environment(config.get("Env") or [], command.environment),
            "Labels": {**labels, REPLACES: like.name}, "HostConfig": host,
        }  # fmt: skip
        self._asked("POST", f"/containers/create?name={quote(replica.name)}", made)

    def _free_port(self) -> int:
        taken = {each.get("PublicPort") for container in self._listed() for each in container.get("Ports") or ()}
        taken |= {each.port for each in self.found()}  # a stopped one publishes none, and wants its own again
        free = next((port for port in self.ports if port not in taken), None)
        if free is None:
            raise LauncherError(f"no port from {self.ports[0]} to {self.ports[-1]} is free: name others with --ports")
        return free

    def _one(self, name: str) -> Container:
        found = self._container(self._asked("GET", f"/containers/{quote(name)}/json").body)
        if found is None:
            raise LauncherError(f"{name} is none of {', '.join(self.names)}, and took none of their places")
        return found

    def _last_words(self, name: str) -> list[str]:
        raw = self._asked("GET", f"/containers/{quote(name)}/logs?stdout=1&stderr=1&tail=1", raw=True).body
        said = raw[8:].decode(errors="replace").strip()  # a header of eight bytes stands before what was written
        return [said] if said else []

    def _asked(self, method: str, target: str, body: Any = None, *, timeout: float = 120.0, raw: bool = False) -> Reply:
        """304 is what is so already."""
        try:
            reply = ask(self.socket, method, target, body, timeout, raw=raw)
        except UnixHTTPError as error:
            raise LauncherError(f"Docker does not answer at {error}") from None
        if reply.status >= 400:
            said = reply.body.decode(errors="replace") if raw else reply.body
            raise LauncherError(f"Docker: {said.get('message', said) if isinstance(said, dict) else said}")
        return reply


def _controller() -> str:
    """This boot of this kernel, and of its network namespaces this one: where an abstract socket is seen."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/net')}"


def _names(listed: Mapping[str, Any]) -> set[str]:
    return {each.removeprefix("/") for each in listed.get("Names") or ()}


def _environment(before: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    kept = {name: value for name, _, value in (each.partition("=") for each in before)}
    return [f"{name}={value}" for name, value in {**kept, **variables}.items()]
