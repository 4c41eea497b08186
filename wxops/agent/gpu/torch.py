"""A PyTorch in a directory of packages: its build, what it brings and what it is for, read without importing it."""

from __future__ import annotations

import mmap
import os
import re
from typing import TYPE_CHECKING

from wxops.agent.gpu.elf import needed
from wxops.agent.gpu.environments import prefix_of, python_of
from wxops.agent.gpu.reading import read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.reading import Reading

VALUE = r"^%s\b[^=\n]*=\s*['\"]([^'\"]+)['\"]"
"""A line of torch/version.py: cuda: Optional[str] = '12.4'."""
CUDNN = re.compile(r"libcudnn\.so\.(\d+(?:\.\d+)*)$")
HOLDER = "libtorch_python.so"
"""The library with the words that torch.cuda.get_arch_list() gives (tried with 2.6.0+cu124 and 2.9.1+cu128)."""
FIRST_WORDS = (b"\0sm_", b"\0compute_")
WORDS = re.compile(rb"((?:(?:sm|compute)_\d+[af]?[ ]?)+)\0")
LONGEST = 1024
MOST_BYTES = 256 << 20


def torch(
    host: Host, site: str, place: str, names: Dict[str, str], cudnns: Iterable[Dict[str, Any]] = ()
) -> Optional[Dict[str, Any]]:
    """The PyTorch there as the record has it; None when there is none.

    names: wheels.wheels of the directory; cudnns: cuDNN as the system has it, for a build that brings none.
    """
    told = host.read(site + "/torch/version.py")
    version = _told(told, "__version__")
    if not version:
        return None
    cuda = _told(told, "cuda")
    about: Dict[str, Any] = {
        "place": place, "path": prefix_of(host, site), "version": names.get("torch") or version,
        "python": python_of(site), "cuda": cuda, "hip": _told(told, "hip"),
        "architectures": architectures(host, site) if cuda else unknown("it is not a build for CUDA"),
    }  # fmt: skip
    if "+" in version and "+" not in about["version"]:
        about["version"] = version  # PyPI's metadata has 2.9.1 where the file says 2.9.1+cu128
    if cuda:
        about["cudnn"] = _cudnn(host, site, names, cudnns)
        about["nccl"] = next((version for name, version in names.items() if name.startswith("nvidia_nccl")), "")
    return about


def _told(text: str, name: str) -> str:
    found = re.search(VALUE % name, text, re.MULTILINE)
    return found.group(1) if found else ""


def _cudnn(host: Host, site: str, names: Dict[str, str], cudnns: Iterable[Dict[str, Any]]) -> str:
    """The one that it loads: from the package beside it, from its own directory, or the system's of the right kind."""
    beside = [version for name, version in names.items() if name.startswith("nvidia_cudnn")]
    if beside:
        return beside[0]
    own = [match.group(1) for match in map(CUDNN.match, host.names(site + "/torch/lib")) if match]
    if own:
        return max(own, key=len)  # of libcudnn.so.8 and libcudnn.so.8.9.2 the one that says more
    wanted = [match.group(1) for match in map(CUDNN.match, needed(host.root + site + "/torch/lib/libtorch_cuda.so"))
              if match]  # fmt: skip
    systems = [each["version"] for each in cudnns if not wanted or each["version"].split(".")[0] == wanted[0]]
    return str(systems[0]) if systems else ""


def architectures(host: Host, site: str) -> Reading:
    """sm_90, compute_120, ...: the words that the build has in it, as a text that ends with a zero byte."""
    path = host.root + site + "/torch/lib/" + HOLDER
    try:
        if os.path.getsize(path) > MOST_BYTES:
            return unknown("%s is larger than any known one" % HOLDER)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _words(content)
    except (OSError, ValueError) as error:
        return unknown("%s: %s" % (HOLDER, getattr(error, "strerror", None) or error))


def _words(content: mmap.mmap) -> Reading:
    for start in FIRST_WORDS:
        at = content.find(start)
        while at >= 0:
            found = WORDS.match(content[at + 1 : at + LONGEST])
            if found:
                return read(found.group(1).decode().split())
            at = content.find(start, at + 1)
    return unknown("%s does not say" % HOLDER)
