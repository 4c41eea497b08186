"""Containers by name. One that is replaced or removed is kept, stopped, under another name: it is its own backup.

So a rollback brings back the very container: its id, its writable layer, its logs. KEPT_RUNS bounds what is kept.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.container_config import STEP_LABEL, UPDATED_IN_PLACE, config_of, differences
from wxops.agent.docker_socket import Docker, DockerError, docker_on
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

KEPT_RUNS = 3
"""For each name, what the last so many runs that replaced or removed it put aside is kept; older ones are removed."""

NEVER = {"Name": "no", "MaximumRetryCount": 0}
NETWORKLESS = ("host", "none", "container:")
STOP_GRACE_S = 10


class ContainerKind(Kind):
    """States: {"exists": False}, or

    id; step: the mark of the wxops step that made it, if one did; running; image (as it was named), image_id;
    networks: network -> endpoint settings; limits: what is changed in place; config: for comparing, not saved.

    Wanted states may have `new`, a configuration: a new container is made from it, whatever is there.
    """

    def read(self, name: str, view: View) -> State:
        docker = docker_on(view)
        found = container_named(docker, name) if docker else None
        return state_of(found) if found else {"exists": False}

    def same(self, now: State, wanted: State) -> bool:
        return "new" not in wanted and super().same(now, wanted)

    def merged(self, before: State, wanted: State) -> State:
        if "new" not in wanted:
            return dict(before, **wanted) if wanted["exists"] else dict(wanted)
        return dict({"id": None, "networks": {}, "limits": {}, "config": wanted["new"]}, **wanted)

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != "new"}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        mark = "%s-%s" % (journal.run, os.urandom(3).hex())
        after["keep_as"] = kept_name(name, mark)
        if "new" in after:
            labels = dict(after["new"].get("Labels") or {}, **{STEP_LABEL: mark})
            after.update(step=mark, new=dict(after["new"], Labels=labels))
        return {key: value for key, value in before.items() if key != "config"}

    def fingerprint(self, state: State) -> State:
        """Which container it is. Whether it runs is no conflict: a service that crashed is why people roll back."""
        if not state["exists"]:
            return {"exists": False}
        return {key: state[key] for key in ("id", "step") if state.get(key)}

    def write(self, name: str, state: State) -> None:
        docker = Docker()
        now = container_named(docker, name)
        if not state["exists"]:
            if now:
                _put_aside(docker, now, state)
        elif "new" in state:
            _replace(docker, name, now, state)
        else:
            _bring_back(docker, name, now, state)
        _tidy(docker, name)

    def recover(self, name: str) -> None:
        _remove(Docker(), unfinished_name(name))

    def irreversible(self, saved: State) -> Optional[str]:
        if saved.get("auto_remove"):
            return "it was started with --rm, so stopping removed it"
        docker = Docker()
        if saved["exists"] and docker.answers() and _by_id(docker, saved["id"]) is None:
            return "the container that it was, %.12s, is gone: somebody removed it, or %d later runs did" % (
                saved["id"], KEPT_RUNS)  # fmt: skip
        return None

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        lines = _changes(before, after)
        return {"before_header": "container " + name, "after_header": "container " + name,
                "before": "".join("%s: %s\n" % (field, old) for field, old, _ in lines if old != ""),
                "after": "".join("%s: %s\n" % (field, new) for field, _, new in lines if new != "")}  # fmt: skip


KIND = ContainerKind()


def container_named(docker: Docker, name: str) -> Optional[Dict[str, Any]]:
    """The container with exactly that name: to the engine "db" is also any container whose id begins with db."""
    found: Optional[Dict[str, Any]] = docker.get("/containers/%s/json" % name)
    return found if found and found["Name"] == "/" + name else None


def _by_id(docker: Docker, number: str) -> Optional[Dict[str, Any]]:
    found: Optional[Dict[str, Any]] = docker.get("/containers/%s/json" % number)
    return found


def state_of(inspected: Dict[str, Any]) -> State:
    """The state of a container that was inspected."""
    config = config_of(inspected)
    short = inspected["Id"][:12]
    networks = (inspected["NetworkSettings"] or {}).get("Networks") or {}
    state: State = {
        "exists": True, "id": inspected["Id"], "image": config["Image"], "image_id": inspected["Image"],
        "step": (config.get("Labels") or {}).get(STEP_LABEL), "running": inspected["State"]["Running"],
        "networks": {network: endpoint(settings, short) for network, settings in networks.items()},
        "limits": {field: config["HostConfig"].get(field) for field in UPDATED_IN_PLACE}, "config": config,
    }  # fmt: skip
    if config["HostConfig"].get("AutoRemove"):
        state["auto_remove"] = True
    return state


def endpoint(settings: Dict[str, Any], short_id: str = "") -> Dict[str, Any]:
    """The part of an endpoint's settings that somebody chose. The engine itself adds the short id as an alias."""
    chosen = {
        "Aliases": sorted(set(settings.get("Aliases") or ()) - {short_id}),
        "Links": sorted(settings.get("Links") or ()),
        "IPAMConfig": {key: value for key, value in (settings.get("IPAMConfig") or {}).items() if value},
    }
    return {key: value for key, value in chosen.items() if value}


def kept_name(name: str, mark: str) -> str:
    return "%s.wxops-%s" % (name, mark)


def unfinished_name(name: str) -> str:
    """The name of a new container until the old one is out of its way."""
    return name + ".wxops-new"


def _replace(docker: Docker, name: str, now: Optional[Dict[str, Any]], state: State) -> None:
    """A new container in the place of the old one. If it does not start, the old one is back when this raises."""
    unfinished = unfinished_name(name)
    _remove(docker, unfinished)
    first = state["new"].get("HostConfig", {}).get("NetworkMode")
    settings = {first: state["networks"][first]} if first in state["networks"] else {}
    body = dict(state["new"], NetworkingConfig={"EndpointsConfig": settings})
    made = docker.post("/containers/create", body, name=unfinished)["Id"]
    try:
        for network in sorted(set(state["networks"]) - {first}):
            _connect(docker, network, made, state["networks"][network])
        if now:
            _put_aside(docker, now, state)
        docker.post("/containers/%s/rename" % made, name=name)
        if state["running"]:
            docker.post("/containers/%s/start" % made)
    except ModuleFailure as failure:
        _remove(docker, made)
        if now:
            _bring_back(docker, name, None, state_of(now))
        back = "; the container that was there before is back" if now else ""
        raise ModuleFailure("container %s does not start%s: %s" % (name, back, failure), **failure.result) from None


def _bring_back(docker: Docker, name: str, now: Optional[Dict[str, Any]], state: State) -> None:
    """The container with that id, under this name, with its networks and limits, running or not."""
    wanted = _by_id(docker, state["id"])
    if wanted is None:
        raise ModuleFailure("the container %.12s, which was %s, is gone" % (state["id"], name))
    if now and now["Id"] != wanted["Id"]:
        _put_aside(docker, now, state)
    if wanted["Name"] != "/" + name:
        docker.post("/containers/%s/rename" % wanted["Id"], name=name)
    _update(docker, wanted, state["limits"])
    if not state["running"]:
        _stop(docker, wanted)
    _settle_networks(docker, wanted, state["networks"])
    if state["running"] and not wanted["State"]["Running"]:
        docker.post("/containers/%s/start" % wanted["Id"])


def _put_aside(docker: Docker, now: Dict[str, Any], state: State) -> None:
    """Stop a container and give its name free. It is renamed before its restart policy goes, so that a run that is

    killed in between leaves either a container as it was or one that is clearly kept.
    """
    if now["HostConfig"].get("AutoRemove"):
        _remove(docker, now["Id"])
        return
    _stop(docker, now)
    docker.post("/containers/%s/rename" % now["Id"], name=state["keep_as"])
    _update(docker, now, {"RestartPolicy": NEVER})


def _stop(docker: Docker, container: Dict[str, Any]) -> None:
    grace = container["Config"].get("StopTimeout")
    docker.post("/containers/%s/stop" % container["Id"], t=STOP_GRACE_S if grace is None else grace)


def _update(docker: Docker, container: Dict[str, Any], limits: Dict[str, Any]) -> None:
    changed = {field: value for field, value in limits.items() if container["HostConfig"].get(field) != value}
    if changed:
        docker.post("/containers/%s/update" % container["Id"], changed)


def _settle_networks(docker: Docker, container: Dict[str, Any], wanted: Dict[str, Any]) -> None:
    """Connect and disconnect what differs; also what hangs on a network that was made anew under its old name."""
    if str(container["HostConfig"].get("NetworkMode", "")).startswith(NETWORKLESS):
        return
    connected = container["NetworkSettings"]["Networks"] or {}
    for network in sorted({**connected, **wanted}):
        settings = connected.get(network)
        if settings is not None:
            current = endpoint(settings, container["Id"][:12])
            if current == wanted.get(network) and _is_current(docker, network, settings):
                continue
            docker.post("/networks/%s/disconnect" % network, {"Container": container["Id"], "Force": True})
        if network in wanted:
            _connect(docker, network, container["Id"], wanted[network])


def _is_current(docker: Docker, network: str, settings: Dict[str, Any]) -> bool:
    if not settings.get("NetworkID"):
        return True  # not started yet: it will look its network up by name
    found = docker.get("/networks/%s" % network)
    return bool(found and found["Id"] == settings["NetworkID"])


def _connect(docker: Docker, network: str, container: str, settings: Dict[str, Any]) -> None:
    docker.post("/networks/%s/connect" % network, {"Container": container, "EndpointConfig": settings})


def _remove(docker: Docker, container: str) -> None:
    """Remove a container that is nobody's any more, with its anonymous volumes; the named ones stay."""
    try:
        docker.delete("/containers/%s" % container, force=True, v=True)
    except DockerError as error:
        if error.status != 404:
            raise


def _tidy(docker: Docker, name: str) -> None:
    """Remove what older runs put aside. What stays must not come up by itself: its run may have been killed."""
    runs: Dict[str, List[str]] = {}
    for kept in kept_containers(docker, name):
        runs.setdefault(kept["run"], []).append(kept["id"])
    for run in sorted(runs)[:-KEPT_RUNS]:
        for container in runs.pop(run):
            _remove(docker, container)
    for container in (container for containers in runs.values() for container in containers):
        inspected = _by_id(docker, container)
        if inspected:
            _update(docker, inspected, {"RestartPolicy": NEVER})
            if inspected["State"]["Running"]:
                _stop(docker, inspected)


def kept_containers(docker: Docker, name: str) -> List[Dict[str, str]]:
    """What is kept of a name: id, name and the run that put it aside. Run ids sort by time."""
    pattern = re.compile(r"^/(%s\.wxops-(.+)-[0-9a-f]{6})$" % re.escape(name))
    listed = docker.get("/containers/json", all=True, filters={"name": [r"^/%s\.wxops-" % re.escape(name)]})
    matches = ((container["Id"], pattern.match(path)) for container in listed for path in container["Names"])
    return [{"id": number, "name": match.group(1), "run": match.group(2)} for number, match in matches if match]


def _changes(before: State, after: State) -> List[Any]:
    """What differs, as (field, before, after) texts."""
    if before["exists"] != after["exists"]:
        here = "present, %s" % (after if after["exists"] else before).get("image", "")
        return [("state", "absent", here) if after["exists"] else ("state", here, "absent")]
    if not after["exists"]:
        return []
    changes = [(field, _shown(before.get(field)), _shown(after.get(field))) for field in ("image", "running")]
    if "new" in after:
        changes += differences(before["config"], after["new"])
        if before["image"] == after["image"] and before["image_id"] != after.get("image_id"):
            changes.append(("image id", str(before["image_id"]), str(after.get("image_id") or "the registry's")))
    elif before.get("id") != after.get("id"):
        changes.append(("id", str(before.get("id")), str(after.get("id"))))
    changes += [(field, _shown(before["limits"].get(field)), _shown(value)) for field, value in after["limits"].items()]
    for network in sorted({**before["networks"], **after["networks"]} if after["networks"] else ()):
        changes.append(
            ("network " + network, _shown(before["networks"].get(network)), _shown(after["networks"].get(network)))
        )
    return [change for change in changes if change[1] != change[2]]


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
