"""Image references, registries and pulls: what the modules for images and containers share."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

from wxops.agent.docker_socket import DockerError, docker_on, pull_progress
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from wxops.agent.change import Change
    from wxops.agent.docker_socket import Docker

    Output = Optional[Callable[[int, bytes], None]]
    Login = Optional[Dict[str, str]]

REFERENCE = re.compile(
    r"^(?P<repository>.+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?$"
)
DOCKER_HUB = "https://index.docker.io/v1/"


def split_reference(name: str) -> Tuple[str, str, str]:
    """(repository, tag or "", digest or ""): the tag is latest when neither is there."""
    found = REFERENCE.match(name)
    if found is None or name != name.strip() or "://" in name:
        raise ModuleFailure("%r is no image's name; it should be like registry.example.com/team/model:1.0" % name)
    repository, tag, digest = found.group("repository"), found.group("tag") or "", found.group("digest") or ""
    return repository, tag or ("" if digest else "latest"), digest


def normalized(name: str) -> str:
    """The reference with its tag; by digest alone where it has one."""
    repository, tag, digest = split_reference(name)
    return "%s@%s" % (repository, digest) if digest else "%s:%s" % (repository, tag)


def registry_of(name: str) -> str:
    """The registry that a reference names, as `docker login` writes it down."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB


def login_header(name: str, login: Login) -> Dict[str, str]:
    """The header that carries a registry's user and password to the engine: never an argument of a command."""
    if not login:
        return {}
    text = json.dumps(dict(login, serveraddress=registry_of(name)))
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode("utf-8")).decode()}


def stored_login(config: Optional[bytes], name: str) -> Login:
    """User and password that `docker login` left in the host's ~/.docker/config.json (`config` is its text)."""
    try:
        auth = json.loads((config or b"{}").decode("utf-8"))["auths"][registry_of(name)]["auth"]
        user, _, password = base64.b64decode(auth).decode("utf-8").partition(":")
    except (ValueError, KeyError, TypeError):
        return None
    return {"username": user, "password": password}


def pull(docker: Docker, name: str, login: Login, output: Output, platform: Optional[str] = None) -> List[str]:
    """Pull an image; the engine's closing lines."""
    repository, tag, digest = split_reference(name)
    query = {"fromImage": repository, "tag": digest or tag, "platform": platform}
    try:
        return pull_progress(docker.stream("/images/create", query, login_header(name, login)), output)
    except DockerError as error:
        raise ModuleFailure("image %s cannot be pulled: %s" % (name, error)) from None


def registry_digest(docker: Docker, name: str, login: Login) -> str:
    """The digest that a registry has under a name now. Raises ModuleFailure when it has none or does not answer."""
    try:
        found: Dict[str, Any] = docker.request(
            "GET", "/distribution/%s/json" % normalized(name), {}, headers=login_header(name, login)
        )
    except DockerError as error:
        raise ModuleFailure("the registry does not give %s: %s" % (name, error)) from None
    return str(found["Descriptor"]["digest"])


def ensure_pulled(change: Change, name: str, when: str, login: Login, platform: Optional[str] = None) -> Dict[str, Any]:
    """Pull an image when it is `missing`, or `always` when the registry has another one; `never` only looks.

    Returns the image's state. In check mode the registry is asked too: what it does not have cannot be pulled later.
    """
    now = change.state("image", name)
    fixed = when == "missing" or split_reference(name)[2]
    if when == "never" or (now["exists"] and fixed):
        return now
    docker = docker_on(change.view)
    if docker is None:
        change.set("image", name, {"exists": True, "make": None})
        return change.state("image", name)
    login = login or stored_login(change.read(change.expand("~/.docker/config.json")), name)
    wanted: Dict[str, Any] = {
        "exists": True, "make": lambda: pull(docker, name, login, change.link.output, platform)}  # fmt: skip
    if now["exists"] or change.check:
        digest = registry_digest(docker, name, login)
        if any(known.endswith("@" + digest) for known in now.get("digests", ())):
            return now
        wanted["digests"] = ["%s@%s" % (split_reference(name)[0], digest)]
    change.set("image", name, wanted)
    return change.state("image", name)
