"""Copies of the libraries that GPU programs load, where the linker looks: told by their files' names, never loaded."""

from __future__ import annotations

import mmap
import os
import re
from typing import TYPE_CHECKING

from wxops.agent.gpu.fabric_manager import upstream

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Tuple

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.packages import Installed

FILE = re.compile(r"lib(cudart|cudnn|nccl|nvinfer|cublas|nvrtc|cuda)\.so\.(\d+(?:\.\d+)+)$")
NAMES = {"nvinfer": "tensorrt", "cuda": "cuda-compat"}
OF_CUDA = ("cudart", "cublas", "nvrtc")  # their own major version is CUDA's
PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
          "/usr/local/lib64")  # fmt: skip
IN_TOOLKIT = ("/lib64", "/lib", "/compat", "/targets/x86_64-linux/lib", "/targets/sbsa-linux/lib")
PACKAGES = {
    "cudnn": re.compile(r"(?:lib)?cudnn(?P<api>\d+)(?:-cuda-(?P<cuda>\d+))?$"),
    "nccl": re.compile(r"(?:lib)?nccl(?P<api>\d*)$"),
    "tensorrt": re.compile(r"(?:lib)?nvinfer(?P<api>\d+)$"),
}
"""Their names, and in them the API's version and CUDA's. Others have CUDA's in their version: 2.21.5-1+cuda12.4."""
NEEDED = re.compile(rb"lib(?:cublas|cublasLt|cudart|nvrtc)\.so\.(\d+)\0")
SMALL = 8 << 20
"""Bytes of a file that is searched for the names of what it loads."""


def libraries(host: Host, installed: Installed, toolkits: Iterable[str], paths: Iterable[str]) -> List[Dict[str, Any]]:
    """toolkits: their directories; paths: those of LD_LIBRARY_PATH wherever it is set."""
    found: Dict[Tuple[int, int], Dict[str, Any]] = {}
    for folder in dict.fromkeys(_folders(host, toolkits, paths)):
        for name in sorted(host.names(folder)):
            match = FILE.match(name)
            if match is None:
                continue
            path = folder + "/" + name
            try:
                about = os.lstat(host.root + path)
            except OSError:
                continue  # it has just gone
            library = NAMES.get(match.group(1), match.group(1))
            apart = library == "cuda-compat" and "compat" not in folder  # the driver's own libcuda
            if not os.path.islink(host.root + path) and not apart:
                found.setdefault((about.st_dev, about.st_ino), {
                    "name": library, "version": match.group(2), "path": path,
                    "cuda_major": _cuda_major(host, library, match.group(2), path, installed),
                })  # fmt: skip
    return list(found.values())


def _folders(host: Host, toolkits: Iterable[str], paths: Iterable[str]) -> Iterator[str]:
    yield from PLACES
    yield from (toolkit + place for toolkit in toolkits if toolkit != "/usr" for place in IN_TOOLKIT)
    yield from ("/usr/local/%s/compat" % name for name in host.names("/usr/local") if name.startswith("cuda-"))
    for name in ["ld.so.conf", *("ld.so.conf.d/" + each for each in sorted(host.names("/etc/ld.so.conf.d")))]:
        yield from (line.strip().rstrip("/") for line in host.lines("/etc/" + name) if line.strip().startswith("/"))
    yield from (path.rstrip("/") for path in paths if path.startswith("/"))


def _cuda_major(host: Host, library: str, version: str, path: str, installed: Installed) -> int:
    """For which CUDA it was built, 0 where nothing says so."""
    if library in OF_CUDA:
        return int(version.partition(".")[0])
    in_path = re.search(r"/cuda-(\d+)[./]", path)
    if library == "cuda-compat":
        return int(in_path.group(1)) if in_path else 0
    from_package = _of_package(library, version, installed) if path.startswith(PLACES[:4]) else 0
    return from_package or (int(in_path.group(1)) if in_path else 0) or _of_neighbours(host, library, path)


def _of_package(library: str, version: str, installed: Installed) -> int:
    for name, about in installed.items():
        match = PACKAGES[library].match(name) if library in PACKAGES else None
        if match is None or not upstream(about["version"]).startswith(version):
            continue
        named = match.groupdict().get("cuda") or "".join(re.findall(r"[+.]cuda(\d+)", about["version"])[:1])
        if named:
            return int(named)
    return 0


def _of_neighbours(host: Host, library: str, path: str) -> int:
    """An archive that was unpacked: its small files name the libraries of CUDA that they load."""
    folder = os.path.dirname(path)
    for name in sorted(host.names(folder)):
        if name.startswith("lib" + library) and ".so." in name:
            major = _named_in(host.root + folder + "/" + name)
            if major:
                return major
    return 0


def _named_in(path: str) -> int:
    try:
        if not 0 < os.path.getsize(path) <= SMALL:
            return 0
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = NEEDED.search(content)
            return int(found.group(1)) if found else 0
    except (OSError, ValueError):
        return 0
