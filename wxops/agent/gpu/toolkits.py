"""CUDA toolkits on the host, all of them, and which one is in use: read from their files, no nvcc is run."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.packages import Installed

USUAL = "/usr/local/cuda"
OF_DEBIAN = "nvidia-cuda-toolkit"
LINKS = 8  # alternatives make two


def toolkits(host: Host, installed: Installed, homes: Iterable[str] = ()) -> List[Dict[str, Any]]:
    """homes: what CUDA_HOME and CUDA_PATH say on this host."""
    used = {resolved(host, home) for home in [USUAL, *homes]}
    used |= {os.path.dirname(os.path.dirname(path)) for path in [resolved(host, _nvcc(host))] if path}
    found = []
    for folder in dict.fromkeys(resolved(host, path) for path in [*_folders(host), *homes]):
        version = version_of(host, folder)
        if version:
            found.append({"version": version, "path": folder, "in_use": folder in used})
    package = installed.get(OF_DEBIAN)
    if package and host.exists("/usr/bin/nvcc"):
        version = re.sub(r"^.*~(?=\d)", "", package["version"]).partition("-")[0]  # 11.8.89~11.8.0-5~deb12u1
        found.append({"version": version, "path": "/usr", "in_use": _nvcc(host) == "/usr/bin/nvcc"})
    return found


def _folders(host: Host) -> List[str]:
    local = ["/usr/local/" + name for name in sorted(host.names("/usr/local")) if name.startswith("cuda")]
    kits = "/opt/nvidia/hpc_sdk"
    hpc = ["/".join([kits, system, release, "cuda", version])
           for system in host.names(kits) for release in host.names(kits + "/" + system)
           for version in host.names("/".join([kits, system, release, "cuda"])) if version[0].isdigit()]  # fmt: skip
    return [*local, "/opt/cuda", *sorted(hpc)]


def _nvcc(host: Host) -> str:
    return host.command("nvcc")[len(host.root) :]


def version_of(host: Host, folder: str) -> str:
    """12.4.1 as the toolkit's version.json has it (version.txt before CUDA 11.1), 12.4 as its cuda.h; "" for none."""
    try:
        return str(json.loads(host.read(folder + "/version.json"))["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        pass
    told = re.search(r"CUDA Version (\d+(?:\.\d+)+)", host.read(folder + "/version.txt"))
    if told:
        return told.group(1)
    number = re.search(r"#define CUDA_VERSION (\d+)", host.read(folder + "/include/cuda.h"))
    return "%d.%d" % divmod(int(number.group(1)) // 10, 100) if number else ""


def resolved(host: Host, path: str) -> str:
    """Where the links at this path lead, within the host's root."""
    for _ in range(LINKS):
        target = host.link(path) if path else ""
        if not target:
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return path
