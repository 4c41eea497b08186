"""Every PyTorch on the host: its own environments, those of running containers, and those in the layers of images."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from wxops.agent.facts.host import Host
from wxops.agent.gpu.engine import container_name, image_name, variable
from wxops.agent.gpu.environments import Search, prefix_of
from wxops.agent.gpu.reading import unknown
from wxops.agent.gpu.torch import torch
from wxops.agent.gpu.wheels import wheel_libraries, wheels

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence

    from wxops.agent.gpu.engine import Engine
    from wxops.agent.gpu.processes import Process

LARGEST = 4 << 20
IN_CONTAINER_S, IN_LAYER_S = 0.5, 0.2
MOST_LAYERS = 400


class Inside(Host):
    """A file system that somebody else filled: only regular files are read, and no more of them than fits a text."""

    def read(self, path: str) -> str:
        try:
            descriptor = os.open(self.root + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return ""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            return os.read(descriptor, LARGEST).decode("utf-8", "replace").strip()
        except OSError:
            return ""
        finally:
            os.close(descriptor)


class Torches:
    """found: PyTorchs as the record has them; libraries: what else was installed as Python packages."""

    def __init__(self, cudnns: Sequence[Dict[str, Any]]) -> None:
        self._cudnns = cudnns
        self.found: List[Dict[str, Any]] = []
        self.libraries: List[Dict[str, Any]] = []
        self.notes: List[str] = []

    def of_host(self, host: Host, named: Sequence[str], running: Iterable[Process]) -> None:
        """named: environments to look into besides; running: PyTorchs in use, wherever they lie."""
        search = Search(host, host.lines("/proc/self/mounts"))
        sites = search.site_packages(named)
        used = [process.torch for process in running if process.torch and not process.container]
        known = {os.path.realpath(host.root + site) for site in sites}
        sites += [site for site in dict.fromkeys(used) if os.path.realpath(host.root + site) not in known]
        self._look(host, sites, "host", self._cudnns)
        missing = [path for path in named if not any((site + "/").startswith(path.rstrip("/") + "/") for site in sites)]
        self.notes += ["environments: there is no Python environment at %s" % path for path in missing]
        if search.cut_short:
            self.notes.append("torches: " + search.cut_short)

    def of_containers(self, leaders: Iterable[Process], names: Mapping[str, str]) -> None:
        for leader in leaders:
            inside = Inside(root="/proc/%d/root" % leader.pid)
            mounts = Host().lines("/proc/%d/mounts" % leader.pid)
            if not mounts:
                self.notes.append("torches: container %s is not ours to look into" % leader.container[:12])
                continue
            search = Search(inside, mounts, IN_CONTAINER_S)
            place = "container " + names.get(leader.container, leader.container[:12])
            self._look(inside, search.site_packages(), place, ())

    def of_images(self, engine: Engine) -> None:
        layers: Dict[str, List[Any]] = {}
        for about in engine.images:
            place, before = "image " + image_name(about), len(self.found)
            seen = set()
            for layer in layers_of(about):
                if layer not in layers and len(layers) < MOST_LAYERS:
                    inside = Inside(root=layer)
                    layers[layer] = [(inside, site) for site in Search(inside, (), IN_LAYER_S).site_packages()]
                for inside, site in layers.get(layer, ()):
                    if site not in seen and inside.exists(site + "/torch/version.py"):
                        seen.add(site)  # of layers that have the same the topmost counts
                        self._look(inside, [site], place, ())
            if len(self.found) == before:
                self.found += told_by_image(about, place)

    def _look(self, host: Host, sites: Sequence[str], place: str, cudnns: Iterable[Dict[str, Any]]) -> None:
        for site in sites:
            names = wheels(host, site)
            if place == "host":
                self.libraries += wheel_libraries(host, names, site, prefix_of(host, site))
            found = torch(host, site, place, names, cudnns)
            if found is not None:
                self.found.append(found)


def layers_of(about: Dict[str, Any]) -> Iterator[str]:
    """The directories of an image's layers, topmost first; none where containerd keeps them."""
    data = (about.get("GraphDriver") or {}).get("Data") or {}
    yield from filter(os.path.isdir, [str(data.get("UpperDir") or ""), *str(data.get("LowerDir") or "").split(":")])


def told_by_image(about: Dict[str, Any], place: str) -> List[Dict[str, Any]]:
    """Where the layers cannot be read: what NVIDIA's and PyTorch's images say in their own variables."""
    version = variable(about, "PYTORCH_VERSION") or variable(about, "TORCH_VERSION")
    if not version:
        return []
    cuda = ".".join(variable(about, "CUDA_VERSION").split(".")[:2])
    return [{"place": place, "path": "", "version": version, "cuda": cuda,
             "cudnn": variable(about, "NV_CUDNN_VERSION").partition("-")[0] or variable(about, "CUDNN_VERSION"),
             "architectures": unknown("the image's layers are not ours to read")}]  # fmt: skip


def names_by_id(engine: Engine) -> Dict[str, str]:
    return {str(about.get("Id", "")): container_name(about) for about in engine.containers}
