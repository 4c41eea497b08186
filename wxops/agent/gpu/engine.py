"""Docker's own answers, for an audit: what runs and what images there are. It may be slow or gone; then it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.docker_get import DockerQuestions

NO_DOCKER = "Docker does not run"
SOCKET, PID_FILE = "/var/run/docker.sock", "/var/run/docker.pid"
MOST_IMAGES, MOST_CONTAINERS = 200, 200


class Engine:
    """Asked once. info, containers, images: as its API has them; error: why they are empty."""

    def __init__(self, present: bool, deadline: float) -> None:
        self.info: Dict[str, Any] = {}
        self.containers: List[Dict[str, Any]] = []
        self.images: List[Dict[str, Any]] = []
        self.error = "" if present else NO_DOCKER
        self.notes: List[str] = []
        if present:
            self._look(deadline)

    def _look(self, deadline: float) -> None:
        from wxops.agent.gpu.docker_get import DockerQuestions, DockerSilent  # they bring socket

        try:
            self._ask(DockerQuestions(SOCKET, deadline))
        except DockerSilent as silent:
            self.error = str(silent)
        except (ValueError, KeyError, TypeError) as error:
            self.error = "Docker gave an unknown answer: %s: %s" % (type(error).__name__, error)

    def _ask(self, docker: DockerQuestions) -> None:
        self.info = docker.get("/info") or {}
        self.containers = self._each(docker, "/containers/json", "/containers/%s/json", MOST_CONTAINERS)
        self.images = self._each(docker, "/images/json", "/images/%s/json", MOST_IMAGES)

    def _each(self, docker: DockerQuestions, listed: str, one: str, most: int) -> List[Dict[str, Any]]:
        ids = [str(each["Id"]) for each in docker.get(listed) or []]
        if len(ids) > most:
            self.notes.append("only %d of %d of Docker's %s were read" % (most, len(ids), listed.split("/")[1]))
        found: List[Optional[Dict[str, Any]]] = [docker.get(one % each) for each in ids[:most]]
        return [each for each in found if each]  # others have gone meanwhile


def docker_runs(host: Host) -> bool:
    """Only then it is asked: systemd would start it for whoever opens its socket, and an audit changes nothing."""
    pid = host.read(PID_FILE)
    return pid.isdigit() and host.exists("/proc/" + pid) and host.exists(SOCKET)


def environment(about: Dict[str, Any]) -> List[str]:
    """NAME=value, of a container or an image."""
    return list((about.get("Config") or {}).get("Env") or [])


def variable(about: Dict[str, Any], name: str) -> str:
    pairs = (entry.partition("=") for entry in environment(about))
    return next((value for key, _, value in pairs if key == name), "")


def container_name(about: Dict[str, Any]) -> str:
    return str(about.get("Name", "")).lstrip("/") or str(about.get("Id", ""))[:12]


def image_name(about: Dict[str, Any]) -> str:
    """A tag, else the digest that it was pulled by, else its id."""
    names = [*(about.get("RepoTags") or []), *(about.get("RepoDigests") or [])]
    return str(next((name for name in names if not name.startswith("<none>")), about.get("Id", "")))


def has_gpus(about: Dict[str, Any]) -> bool:
    """Was this container given GPUs: by a device request or CDI, by the nvidia runtime, or device by device?"""
    given = about.get("HostConfig") or {}
    for request in given.get("DeviceRequests") or []:
        words = [word for group in request.get("Capabilities") or [] for word in group]
        if "gpu" in words or any("/gpu=" in name for name in request.get("DeviceIDs") or []):
            return True
    if any("/dev/nvidia" in str(device.get("PathOnHost")) for device in given.get("Devices") or []):
        return True
    asked = variable(about, "NVIDIA_VISIBLE_DEVICES")
    return given.get("Runtime") == "nvidia" and asked not in ("", "void", "none")
