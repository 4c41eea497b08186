"""Docker images: pulled, built, loaded, named, saved, pushed, removed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from wxops.agent import image_archive
from wxops.agent.content import CHUNK, Content
from wxops.agent.docker_images import (
    ensure_pulled,
    login_header,
    normalized,
    registry_digest,
    split_reference,
    stored_login,
)
from wxops.agent.docker_socket import Docker, docker_on, pull_progress
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.resources import State

BUILD = {"path", "dockerfile", "args", "network", "nocache", "pull", "target", "labels", "platform"}


def docker_image(
    change: Change,
    name: str,
    tag: Optional[str] = None,
    source: Optional[Literal["build", "load", "pull", "local"]] = None,
    state: Literal["present", "absent"] = "present",
    build: Optional[Dict[str, Any]] = None,
    load_path: Optional[Path] = None,
    platform: Optional[str] = None,
    force_source: bool = False,
    repository: Optional[str] = None,
    force_tag: bool = False,
    archive_path: Optional[Path] = None,
    push: bool = False,
    registry_username: Optional[str] = None,
    registry_password: Optional[str] = None,
) -> Dict[str, Any]:
    """Have a Docker image on the host, or not.

    An image that loses its name keeps its bytes, as wxops-kept/..., for the last three runs that did so: a rollback
    needs no registry. A rollback of a pull removes what it brought, unless a container uses it.

    name: the image, with or without a tag, or by digest: registry.example.com/team/model@sha256:...
    tag: its tag, when the name has none; latest by default.
    source: where it comes from when it is not there: pull, build, load (a file of the host), local (it must be there).
    state: present or absent.
    build: path (a directory of the host), dockerfile, args (never shown), network, nocache, pull, target, labels,
        platform.
    load_path: for `source: load`: the archive, as `docker save` writes it.
    platform: for `source: pull`, like linux/arm64.
    force_source: for pull: also when the registry has another image than the host; for load: also when the archive
        has; for build: always.
    repository: another name to give it.
    force_tag: also when that name stands for another image.
    archive_path: a file of the host to save it to.
    push: send it to its registry; under `repository` if that is given.
    registry_username: for pull and push; without it the host's own `docker login` counts.
    registry_password: for pull and push.
    """
    reference = _reference(name, tag)
    login = _login(registry_username, registry_password)
    if state == "absent":
        change.set("image", reference, {"exists": False})
        return {"image": {}}
    image = _bring(change, reference, source, build, load_path, platform, force_source, login)
    if repository:
        other = _reference(repository, split_reference(reference)[1])
        if force_tag or not change.state("image", other)["exists"]:
            change.set("image", other, {"exists": True, "id": image.get("id")})
    if archive_path:
        _save(change, reference, archive_path, image)
    if push:
        _push(change, _reference(repository, split_reference(reference)[1]) if repository else reference, login)
    return {"image": {} if change.check else Docker().get("/images/%s/json" % reference)}


def _reference(name: str, tag: Optional[str]) -> str:
    has_tag = normalized(name) == name
    return normalized(name if has_tag or not tag else "%s:%s" % (name, tag))


def _login(username: Optional[str], password: Optional[str]) -> Optional[Dict[str, str]]:
    if (username is None) != (password is None):
        raise ModuleFailure("registry_username and registry_password go together")
    return {"username": username, "password": password} if username and password else None


def _bring(
    change: Change, name: str, source: Optional[str], build: Optional[Dict[str, Any]], load_path: Optional[str],
    platform: Optional[str], force: bool, login: Optional[Dict[str, str]],
) -> State:  # fmt: skip
    """The image's state, once it is there."""
    now = change.state("image", name)
    if source == "pull":
        return ensure_pulled(change, name, "always" if force else "missing", login, platform)
    if source == "load" and (force or not now["exists"]):
        _load(change, name, now, load_path)
    elif source == "build" and (force or not now["exists"]):
        _build(change, name, build)
    elif not now["exists"]:
        raise ModuleFailure("image %s is not on this host; `source` says where to get it: pull, build or load" % name)
    return change.state("image", name)


def _load(change: Change, name: str, now: State, path: Optional[str]) -> None:
    content = change.file(path, follow=True).get("content") if path else None
    if content is None:
        raise ModuleFailure("`source: load` needs `load_path`, a file that is there" + (": %s" % path if path else ""))
    with content.open() as file:
        archive = image_archive.read_archive(file, str(path))
    if archive.names != [name]:
        raise ModuleFailure("%s holds %s, not %s" % (path, " and ".join(archive.names) or "no named image", name))
    if now.get("id") in archive.ids:
        return

    def load() -> None:
        with content.open() as file:
            headers = {"Content-Type": "application/x-tar"}
            pull_progress(Docker().stream("/images/load", {}, headers, file), change.link.output)

    change.set("image", name, {"exists": True, "make": load})


def _build(change: Change, name: str, build: Optional[Dict[str, Any]]) -> None:
    build = build or {}
    unknown = sorted(set(build) - BUILD)
    if unknown or not build.get("path"):
        wrong = "`build` has no %r" % unknown[0] if unknown else "`source: build` needs `build.path`"
        raise ModuleFailure("%s; it has %s" % (wrong, ", ".join(sorted(BUILD))))
    path = change.expand(str(build["path"]))
    if change.file(path, follow=True)["type"] != "directory":
        raise ModuleFailure("build.path %s is no directory of this host" % path)
    arguments = {str(key): str(value) for key, value in (build.get("args") or {}).items()}
    argv = [*_build_command(name, build), *(word for key in arguments for word in ("--build-arg", key)), path]

    def make() -> None:
        # The values travel in the environment: an argument list can be read by every user of the host.
        done = run(argv, environment=arguments, output=change.link.output, running=change.running)
        if done.rc != 0:
            raise ModuleFailure(
                "image %s cannot be built: %s" % (name, _end(done.stderr or done.stdout)), **done.result()
            )

    change.set("image", name, {"exists": True, "make": make})


def _build_command(name: str, build: Dict[str, Any]) -> List[str]:
    argv = ["docker", "build", "--tag", name]
    for key, flag in (("network", "--network"), ("target", "--target"), ("platform", "--platform")):
        if build.get(key):
            argv += [flag, str(build[key])]
    if build.get("dockerfile"):
        argv += ["--file", os.path.join(str(build["path"]), str(build["dockerfile"]))]
    for key, value in sorted((build.get("labels") or {}).items()):
        argv += ["--label", "%s=%s" % (key, value)]
    return argv + ["--no-cache"] * bool(build.get("nocache")) + ["--pull"] * bool(build.get("pull"))


def _end(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-5:])


def _save(change: Change, name: str, path: str, image: State) -> None:
    """Write the archive unless it holds this very image under this name."""
    now = change.file(path, follow=True).get("content")
    if now is not None:
        with contextlib.suppress(ModuleFailure), now.open() as file:
            archive = image_archive.read_archive(file, path)
            if image.get("id") in archive.ids and name in archive.names:
                return
    if change.check:
        change.write(path, b"")
        return
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(change.real(path))) as file:
        answer = Docker().download("/images/%s/get" % name)
        chunk = answer.read(CHUNK)
        while chunk:
            file.write(chunk)
            chunk = answer.read(CHUNK)
        file.flush()
        change.write(path, Content(path=file.name))


def _push(change: Change, name: str, login: Optional[Dict[str, str]]) -> None:
    """Push unless the registry has this very image under this name."""
    docker, now = docker_on(change.view), change.state("image", name)
    login = login or stored_login(change.read(change.expand("~/.docker/config.json")), name)
    if docker is not None and now.get("digests"):
        with contextlib.suppress(ModuleFailure):  # the registry does not know the name yet, or the push will tell why
            if any(known.endswith("@" + registry_digest(docker, name, login)) for known in now["digests"]):
                return
    change.stop_if_asked()
    change.changed = True
    change.diffs.append({"prepared": "push image %s\n" % name})
    if change.check or docker is None:
        return
    step = change.begin("image_push", name, {}, None)
    repository, tag, _ = split_reference(name)
    pull_progress(docker.stream("/images/%s/push" % repository, {"tag": tag}, login_header(name, login) or ANONYMOUS),
                  change.link.output)  # fmt: skip
    change.journal.done(step)


ANONYMOUS = {"X-Registry-Auth": "e30="}  # {}: the engine wants the header on a push
