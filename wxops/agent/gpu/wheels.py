"""What pip or conda put into one directory of packages, as far as it concerns GPUs: told by the names there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

INFO = re.compile(r"(?P<name>[A-Za-z0-9_.]+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info$")
WHEELS = {
    "nvidia_cudnn": "cudnn", "nvidia_nccl": "nccl", "nvidia_cuda_runtime": "cudart", "nvidia_cublas": "cublas",
    "nvidia_cuda_nvrtc": "nvrtc", "tensorrt": "tensorrt", "tensorrt_libs": "tensorrt",
}  # fmt: skip
FOR_CUDA = re.compile(r"_cu(\d\d)(_libs)?$")


def wheels(host: Host, site: str) -> Dict[str, str]:
    """Version by name, in lower case with underscores, of all packages there."""
    found = (INFO.match(name) for name in host.names(site))
    return {re.sub(r"[-.]+", "_", match["name"]).lower(): match["version"] for match in found if match}


def wheel_libraries(host: Host, names: Dict[str, str], site: str, owner: str) -> List[Dict[str, Any]]:
    """NVIDIA's libraries that were installed as Python packages, as the record has them."""
    found = []
    for name, version in sorted(names.items()):
        suffix = FOR_CUDA.search(name)
        library = WHEELS.get(FOR_CUDA.sub("", name))
        if library is not None and _is_there(host, site, name, version):
            major = int(suffix.group(1)) if suffix else _own_major(library, version)
            found.append({"name": library, "version": version, "path": site, "cuda_major": major, "owner": owner})
    return found


def _is_there(host: Host, site: str, name: str, version: str) -> bool:
    """An installer that was cut short may leave an empty directory."""
    return host.exists("%s/%s-%s.dist-info/METADATA" % (site, name, version))


def _own_major(library: str, version: str) -> int:
    """From CUDA 13 on CUDA's own libraries have no suffix: nvidia-cublas 13.0.0.19."""
    return int(version.partition(".")[0]) if library in ("cudart", "cublas", "nvrtc") else 0
