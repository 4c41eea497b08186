"""Images by reference: which image a name stands for on this host. Bytes that could be needed again are kept by a tag.

An image that loses its name goes on as wxops-kept/NAME:RUN-...; what the last KEPT_RUNS runs took away is kept so.
Taking back a pull is the exception: its bytes go too, unless a container uses them, since a pull brings them again.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.docker_images import pull, split_reference
from wxops.agent.docker_socket import Docker, DockerError, docker_on
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

KEPT = "wxops-kept"
KEPT_RUNS = 3


class ImageKind(Kind):
    """Names have a tag or a digest. States: {"exists": False}, or

    id; digests (what registries call it); config (what containers inherit; not saved).
    Wanted states may have `make`, a function that brings the image to its name (a pull, a build), or `discard`.
    """

    def read(self, name: str, view: View) -> State:
        docker = docker_on(view)
        found = docker.get("/images/%s/json" % name) if docker else None
        return _state(found) if found else {"exists": False}

    def same(self, now: State, wanted: State) -> bool:
        if "make" in wanted or now["exists"] != wanted["exists"]:
            return False
        return not wanted["exists"] or now.get("id") == wanted["id"]

    def merged(self, before: State, wanted: State) -> State:
        return dict({"id": None, "digests": [], "config": None}, **wanted) if wanted["exists"] else dict(wanted)

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key not in ("make", "discard")}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        after["keep_as"] = _kept_name(name, "%s-%s" % (journal.run, os.urandom(3).hex()))
        return {key: value for key, value in before.items() if key != "config"}

    def fingerprint(self, state: State) -> State:
        return {key: state[key] for key in ("exists", "id") if state.get(key) is not None}

    def write(self, name: str, state: State) -> None:
        docker = Docker()
        now = docker.get("/images/%s/json" % name)
        if now and (state.get("id") is None or now["Id"] != state["id"]):
            _keep(docker, now["Id"], state["keep_as"])
        try:
            if "make" in state:
                state["make"]()
            elif state["exists"]:
                _restore(docker, name, state)
            elif now:
                docker.delete("/images/%s" % name)  # its bytes hang on the kept tag now
        finally:
            _tidy(docker, name, state["keep_as"])
        if state.get("discard") and now:
            _discard(docker, now["Id"], state["keep_as"])

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        change.set(kind, name, dict(saved, discard=True))

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": "image " + name, "after_header": "image " + name,
                "before": _described(before), "after": _described(after)}  # fmt: skip


KIND = ImageKind()


def _state(inspected: Dict[str, Any]) -> State:
    return {"exists": True, "id": inspected["Id"], "digests": inspected.get("RepoDigests") or [],
            "config": inspected.get("Config") or inspected.get("ContainerConfig") or {}}  # fmt: skip


def _described(state: State) -> str:
    if not state["exists"]:
        return ""
    return "id: %s\n" % (state.get("id") or "not known before it is there")


def _restore(docker: Docker, name: str, state: State) -> None:
    """The name for the image with that id, which is here, was kept, or is pulled by its digest."""
    repository, tag, digest = split_reference(name)
    if digest or docker.get("/images/%s/json" % state["id"]) is None:
        known = [name] if digest else state.get("digests") or []
        if not known:
            raise ModuleFailure("image %s (%s) is gone from this host and no registry has it" % (name, state["id"]))
        pull(docker, known[0], None, None)
    if not digest:
        docker.post("/images/%s/tag" % state["id"], repo=repository, tag=tag)


def _keep(docker: Docker, image: str, kept: str) -> None:
    repository, tag, _ = split_reference(kept)
    docker.post("/images/%s/tag" % image, repo=repository, tag=tag)


def _discard(docker: Docker, image: str, kept: str) -> None:
    """Let an image go that was kept a moment ago, and its bytes when it has no other name and nobody uses it."""
    _delete_unless_used(docker, kept)
    left = docker.get("/images/%s/json" % image)
    if left and not left["RepoTags"]:
        _delete_unless_used(docker, image)


def _delete_unless_used(docker: Docker, reference: str) -> None:
    """Remove a name, and the image with its last one. Where a container needs that the engine refuses; so it stays."""
    try:
        docker.delete("/images/%s" % reference)
    except DockerError as error:
        if error.status not in (404, 409):
            raise


def _tidy(docker: Docker, name: str, keep_as: str) -> None:
    """Release what older runs kept of this name, and what this one kept although the name still has it."""
    kept = _kept_of(docker, name)
    now = docker.get("/images/%s/json" % name)
    runs: List[str] = sorted({_run(tag) for tag in kept})
    for tag, image in kept.items():
        if _run(tag) not in runs[-KEPT_RUNS:] or (tag == keep_as and now and now["Id"] == image):
            _delete_unless_used(docker, tag)


def _kept_of(docker: Docker, name: str) -> Dict[str, str]:
    """Kept tag -> image id, of one name. Run ids sort by time."""
    folder = split_reference(_kept_name(name, "x"))[0]
    listed: List[Dict[str, Any]] = docker.get("/images/json", filters={"reference": [folder]}) or []
    return {tag: image["Id"] for image in listed for tag in image["RepoTags"] or () if tag.startswith(folder + ":")}


def _kept_name(name: str, mark: str) -> str:
    """wxops-kept/ and the name with all that a repository's name may not have; the mark as its tag."""
    return "%s/%s:%s" % (KEPT, re.sub(r"[^a-z0-9/]+", "-", name.split("@")[0].lower()).strip("-/"), mark)


def _run(tag: str) -> str:
    found: Optional[Any] = re.match(r".*:(.+)-[0-9a-f]{6}$", tag)
    return str(found.group(1)) if found else ""
