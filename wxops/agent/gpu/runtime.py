"""What runs containers, and how it hands GPUs to them: from files and packages, and from Docker where it answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from wxops.agent.gpu.cdi import cdi
from wxops.agent.gpu.engine import NO_DOCKER, container_name, has_gpus, image_name, variable
from wxops.agent.gpu.fabric_manager import upstream
from wxops.agent.gpu.reading import not_supported, read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.engine import Engine
    from wxops.agent.gpu.packages import Installed
    from wxops.agent.gpu.reading import Reading

PACKAGES = {
    "docker": ("docker-ce", "docker.io", "moby-engine", "docker-engine", "docker"),
    "containerd": ("containerd.io", "containerd"),
    "podman": ("podman",),
    "toolkit": ("nvidia-container-toolkit-base", "nvidia-container-toolkit"),
}
PROGRAMS = {"docker": "dockerd", "containerd": "containerd", "podman": "podman", "toolkit": "nvidia-ctk"}
DAEMON = "/etc/docker/daemon.json"
TOOLKIT_CONFIG = "/etc/nvidia-container-runtime/config.toml"
NO_CGROUPS = re.compile(r"^\s*no-cgroups\s*=\s*true\b", re.MULTILINE)
DRIVER_OPTION = "native.cgroupdriver="
VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")


def runtime(host: Host, installed: Installed, engine: Engine) -> Dict[str, Any]:
    about: Dict[str, Any] = {name: version_of(host, installed, name) for name in PACKAGES}
    about["docker"] = about["docker"] or str(engine.info.get("ServerVersion", ""))
    settings = daemon_settings(host)
    runtimes = {**(settings.get("runtimes") or {}), **(engine.info.get("Runtimes") or {})}
    return dict(
        about, nvidia_runtime="nvidia" in runtimes,
        default_runtime=str(engine.info.get("DefaultRuntime") or settings.get("default-runtime") or ""),
        cgroup_driver=_cgroup_driver(settings, engine),
        rootless=any("rootless" in option for option in engine.info.get("SecurityOptions") or []),
        no_cgroups=NO_CGROUPS.search(host.read(TOOLKIT_CONFIG)) is not None, device_links=_device_links(host),
        cdi=cdi(host), images=_of_engine(about, engine, _images(engine)),
        containers=_of_engine(about, engine, _containers(engine)),
    )  # fmt: skip


def version_of(host: Host, installed: Installed, name: str) -> str:
    """As its package has it; a program without a package is asked itself. "" when it is not there."""
    package = next((each for each in PACKAGES[name] if each in installed), "")
    if package:
        return upstream(str(installed[package]["version"]))
    program = host.command(PROGRAMS[name])
    told = VERSION.search(host.output(program, "--version")) if program else None
    return told.group() if told else ""


def daemon_settings(host: Host) -> Dict[str, Any]:
    """Docker's daemon.json; nothing where it is missing, or Docker could not read it either."""
    try:
        found = json.loads(host.read(DAEMON))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cgroup_driver(settings: Dict[str, Any], engine: Engine) -> str:
    told = [option.partition("=")[2] for option in settings.get("exec-opts") or [] if option.startswith(DRIVER_OPTION)]
    return str(engine.info.get("CgroupDriver") or (told[-1] if told else ""))


def _device_links(host: Host) -> bool:
    return any("nvidia" in host.link("/dev/char/" + name) for name in host.names("/dev/char"))


def _of_engine(about: Dict[str, Any], engine: Engine, found: List[Dict[str, Any]]) -> Reading:
    if engine.error == NO_DOCKER and not about["docker"]:
        return not_supported("no Docker is installed")
    return unknown(engine.error) if engine.error else read(found)


def _images(engine: Engine) -> List[Dict[str, Any]]:
    return [
        {"name": image_name(about), "digest": str((about.get("RepoDigests") or [about.get("Id", "")])[0]),
         "require_cuda": variable(about, "NVIDIA_REQUIRE_CUDA"),
         "disable_require": bool(variable(about, "NVIDIA_DISABLE_REQUIRE")),
         "cuda_version": variable(about, "CUDA_VERSION")}
        for about in engine.images
    ]  # fmt: skip


def _containers(engine: Engine) -> List[Dict[str, Any]]:
    return [
        {"name": container_name(about), "image": str((about.get("Config") or {}).get("Image", "")),
         "gpu": has_gpus(about)}
        for about in engine.containers
    ]  # fmt: skip
