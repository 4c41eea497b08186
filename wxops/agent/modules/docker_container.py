"""A container as it was asked for: the host's part, which compares, decides and changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.container_config import HIDDEN, UPDATED_IN_PLACE, complete, differences, mapping
from wxops.agent.docker_images import ensure_pulled, normalized
from wxops.agent.docker_socket import Docker
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.change import Change
    from wxops.agent.container_config import Config
    from wxops.agent.resources import State


def docker_container(
    change: Change,
    name: str,
    state: str,
    config: Dict[str, Any],
    networks: Dict[str, Any],
    image: Optional[str] = None,
    pull: str = "missing",
    login: Optional[Dict[str, str]] = None,
    env_file: Optional[str] = None,
    recreate: bool = False,
    restart: bool = False,
    purge_networks: bool = False,
) -> Dict[str, Any]:
    """Bring a container to a state; what operators write is the action's (wxops/actions/docker_container.py).

    config: fields of Docker's API, those that were asked for. networks: name -> endpoint settings that were asked for.
    """
    if state == "absent":
        change.set("container", name, {"exists": False})
        return {}
    now = change.state("container", name)
    if image is None and (recreate or not now["exists"]):
        raise ModuleFailure("container %s is to be made: from which image? Set `image`" % name)
    if image is None:
        reference = now["image"]
        from_image = dict(change.state("image", now["image_id"] or reference), id=now["image_id"])
    else:
        reference = normalized(image)
        from_image = _image(change, reference, pull, login)
    for network in networks:
        if not change.state("network", network)["exists"]:
            raise ModuleFailure("there is no network %s on this host; docker_network makes one" % network)
    wanted = _resolved(change, complete(_with_env_file(change, config, env_file), from_image.get("config")))
    if state == "healthy":
        _must_have_health_check(wanted, from_image)
    running = now.get("running", False) if state == "present" else state != "stopped"
    if recreate or _must_be_made(now, wanted, reference, from_image):
        _make(change, name, reference, from_image, wanted, networks, running)
    else:
        _adjust(change, name, now, wanted, networks, running, purge_networks)
        if restart and running and now.get("running") and not change.diffs:
            change.act("container_restart", name)
    return _facts(change, name)


def _image(change: Change, reference: str, pull: str, login: Optional[Dict[str, str]]) -> State:
    found = ensure_pulled(change, reference, pull, login)
    if not found["exists"]:
        raise ModuleFailure("image %s is not on this host, and `pull: never` forbids to pull it" % reference)
    return found


def _with_env_file(change: Change, config: Config, path: Optional[str]) -> Config:
    """Variables of a file on the host, under those that the task itself gives."""
    if path is None:
        return config
    text = change.read(change.expand(path))
    if text is None:
        raise ModuleFailure("env_file %s does not exist" % path)
    lines = [line.strip() for line in text.decode("utf-8").splitlines()]
    given = mapping(line for line in lines if line and not line.startswith("#"))
    variables = dict(given, **mapping(config.get("Env")))
    return dict(config, Env=["%s=%s" % pair for pair in variables.items() if pair[1] is not None])


def _resolved(change: Change, config: Config) -> Config:
    """`container:NAME` as the engine keeps it: by the id of the container with that name."""
    host = dict(config.get("HostConfig") or {})
    for field in ("NetworkMode", "IpcMode", "PidMode"):
        kind, _, other = str(host.get(field) or "").partition(":")
        if kind == "container":
            found = change.state("container", other)
            host[field] = "container:%s" % (found.get("id") or other)
    return dict(config, HostConfig=host)


def _must_have_health_check(wanted: Config, image: State) -> None:
    check = wanted.get("Healthcheck") or (image.get("config") or {}).get("Healthcheck")
    if image.get("id") is None and not check:
        return  # an image that is not here yet may bring one
    if not check or check.get("Test") == ["NONE"]:
        raise ModuleFailure("`state: healthy` needs a health check: neither the image nor `healthcheck` gives one")


def _must_be_made(now: State, wanted: Config, reference: str, image: State) -> bool:
    """Does something differ that the engine cannot change in a container that is there?"""
    if not now["exists"] or now["image_id"] != image["id"]:
        return True
    if image["id"] is None and now["image"] != reference:  # both are only foreseen
        return True
    return any(not _in_place(field, now, wanted) for field, _, _ in differences(now["config"], wanted))


def _in_place(field: str, now: State, wanted: Config) -> bool:
    """Can the engine change this field, and change it back? To it a zero means: leave it as it is."""
    if field == "RestartPolicy":
        return True
    values = (now["config"]["HostConfig"].get(field), wanted["HostConfig"].get(field))
    return field in UPDATED_IN_PLACE and all(values)


def _make(
    change: Change, name: str, reference: str, image: State, wanted: Config, networks: Dict[str, Any], running: bool
) -> None:
    host = dict(wanted["HostConfig"])
    if networks:
        host.setdefault("NetworkMode", next(iter(networks)))  # else it would be on the default bridge as well
    wanted = dict(wanted, HostConfig=host)
    change.set("container", name, {
        "exists": True, "new": dict(wanted, Image=reference), "image": reference, "image_id": image.get("id"),
        "networks": networks, "running": running})  # fmt: skip


def _adjust(
    change: Change, name: str, now: State, wanted: Config, networks: Dict[str, Any], running: bool, purge: bool
) -> None:
    """What can be changed in the container that is there: limits, networks, whether it runs."""
    fields = {field for field, _, _ in differences(now["config"], wanted)}
    limits = {field: wanted["HostConfig"][field] for field in fields & set(UPDATED_IN_PLACE)}
    connected = {} if purge else dict(now["networks"])
    connected.update(
        {network: dict(now["networks"].get(network) or {}, **asked) for network, asked in networks.items()}
    )
    limits = dict(now["limits"], **limits)
    change.set("container", name, {"exists": True, "limits": limits, "networks": connected, "running": running})


def _facts(change: Change, name: str) -> Dict[str, Any]:
    """The container as `docker inspect` shows it, less the values of its environment."""
    if change.check:
        return {"container": {}}
    docker = Docker()
    found = docker.get("/containers/%s/json" % name) or {}
    if found:
        found["Config"]["Env"] = ["%s=%s" % (variable, HIDDEN) for variable in mapping(found["Config"].get("Env"))]
    return {"container": found, "api_version": docker.version}
