"""Docker networks by name. The engine cannot change one: it is made anew, and its containers are connected again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.docker_socket import Docker, DockerError, docker_on
from wxops.agent.resources import Kind
from wxops.agent.resources.container import endpoint

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import View
    from wxops.agent.resources import State

SETTINGS = ("driver", "options", "internal", "attachable", "ipv6", "ipam_driver", "ipam", "labels")
EMPTY: State = {"driver": "bridge", "options": {}, "internal": False, "attachable": False, "ipv6": False,
                "ipam_driver": "default", "ipam": [], "labels": {}, "connected": {}}  # fmt: skip


class NetworkKind(Kind):
    """States: {"exists": False}, or SETTINGS and connected: container -> endpoint settings; stopped ones too.

    Wanted states may have `anew`: make it anew even if nothing differs.
    """

    def read(self, name: str, view: View) -> State:
        docker = docker_on(view)
        found = _network_named(docker, name) if docker else None
        return _state(docker, found) if docker and found else {"exists": False}

    def same(self, now: State, wanted: State) -> bool:
        if wanted.get("anew") or now["exists"] != wanted["exists"]:
            return False
        connected = wanted.get("connected")
        return not differing(now, wanted) and (connected is None or connected == now["connected"])

    def merged(self, before: State, wanted: State) -> State:
        if not wanted["exists"]:
            return dict(wanted)
        after = dict(EMPTY, **before) if before["exists"] else dict(EMPTY)
        for key, value in wanted.items():
            after[key] = dict(after[key], **value) if key in ("options", "labels") else value
        return after

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != "anew"}

    def fingerprint(self, state: State) -> State:
        return {key: state[key] for key in ("exists", "driver", "internal", "attachable") if key in state}

    def write(self, name: str, state: State) -> None:
        docker = Docker()
        now = _network_named(docker, name)
        before: State = _state(docker, now) if now else {"exists": False, "connected": {}}
        if now and (not state["exists"] or state.get("anew") or _settings(before) != _settings(state)):
            _disconnect(docker, name, before["connected"])
            docker.delete("/networks/%s" % now["Id"])
            before = {"exists": False, "connected": {}}
        if not state["exists"]:
            return
        if not before["exists"]:
            docker.post("/networks/create", _body(name, state))
        wanted = state["connected"]
        _disconnect(docker, name, [other for other, has in before["connected"].items() if wanted.get(other) != has])
        for container in sorted(wanted):
            if before["connected"].get(container) != wanted[container]:
                _connect(docker, name, container, wanted[container])

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": "network " + name, "after_header": "network " + name,
                "before": _described(before, after), "after": _described(after, before)}  # fmt: skip


KIND = NetworkKind()


def differing(now: State, wanted: State) -> List[str]:
    """The settings that are not as asked. Options, labels and address ranges may have more than was asked for."""
    return [key for key in SETTINGS if key in wanted and not _covers(now[key], wanted[key])]


def _covers(now: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(now.get(key) == value for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(now) == len(wanted) and all(any(_covers(one, asked) for one in now) for asked in wanted)
    return bool(now == wanted)


def _network_named(docker: Docker, name: str) -> Optional[Dict[str, Any]]:
    """The network with exactly that name; the engine would also take the beginning of an id."""
    found: Optional[Dict[str, Any]] = docker.get("/networks/%s" % name)
    return found if found and found["Name"] == name else None


def _state(docker: Docker, network: Dict[str, Any]) -> State:
    ranges = [{key: value for key, value in one.items() if value} for one in network["IPAM"].get("Config") or ()]
    return {
        "exists": True, "driver": network["Driver"], "options": network.get("Options") or {},
        "internal": network["Internal"], "attachable": network["Attachable"], "ipv6": network["EnableIPv6"],
        "ipam_driver": network["IPAM"]["Driver"], "ipam": ranges, "labels": network.get("Labels") or {},
        "connected": _connected(docker, network["Name"]),
    }  # fmt: skip


def _connected(docker: Docker, network: str) -> Dict[str, Any]:
    """Containers on a network, with the endpoint settings that somebody chose. A stopped one is on it too."""
    found = {}
    for listed in docker.get("/containers/json", all=True, filters={"network": [network]}):
        container = docker.get("/containers/%s/json" % listed["Id"])
        settings = container["NetworkSettings"]["Networks"].get(network) if container else None
        if settings is not None:
            found[container["Name"].lstrip("/")] = endpoint(settings, container["Id"][:12])
    return found


def _settings(state: State) -> Dict[str, Any]:
    return {key: state.get(key) for key in SETTINGS}


def _body(name: str, state: State) -> Dict[str, Any]:
    return {
        "Name": name, "CheckDuplicate": True, "Driver": state["driver"], "Options": state["options"],
        "Internal": state["internal"], "Attachable": state["attachable"], "EnableIPv6": state["ipv6"],
        "IPAM": {"Driver": state["ipam_driver"], "Config": state["ipam"]}, "Labels": state["labels"],
    }  # fmt: skip


def _disconnect(docker: Docker, network: str, containers: Any) -> None:
    for container in sorted(containers):
        try:
            docker.post("/networks/%s/disconnect" % network, {"Container": container, "Force": True})
        except DockerError as error:
            if error.status not in (404, 500):  # it went in the meantime, or is not connected any more
                raise


def _connect(docker: Docker, network: str, container: str, settings: Dict[str, Any]) -> None:
    try:
        docker.post("/networks/%s/connect" % network, {"Container": container, "EndpointConfig": settings})
    except DockerError as error:
        if error.status != 404:  # on a rollback: a container that is no more
            raise


def _described(state: State, other: State) -> str:
    if not state["exists"]:
        return ""
    keys = [key for key in (*SETTINGS, "connected") if not other["exists"] or state.get(key) != other.get(key)]
    shown = {key: ", ".join(sorted(state[key])) if key == "connected" else state[key] for key in keys}
    return "state: present\n" * (not other["exists"]) + "".join("%s: %s\n" % pair for pair in shown.items() if pair[1])
