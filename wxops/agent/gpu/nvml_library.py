"""Where the driver's management library lies, and which version it is of: looked up without loading it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wxops.agent.facts.host import Host

NAME = "libnvidia-ml.so.1"
CACHE = "/etc/ld.so.cache"
PLACES = (
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib/x86_64-linux-gnu",
    "/lib64", "/usr/local/lib", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu", "/run/nvidia/driver/usr/lib/aarch64-linux-gnu",
    "/run/nvidia/driver/usr/lib64",
)  # fmt: skip
"""Those of distributions, of containers, of WSL, of NixOS, and of a driver that itself runs in a container."""


def find_library(host: Host) -> str:
    """Its path; "" when the host has none. What the linker's cache says counts first, as for every program."""
    try:
        with open(host.root + CACHE, "rb") as file:
            cached = re.findall(rb"(/[^\0]*/%s)\0" % re.escape(NAME.encode()), file.read())
    except OSError:
        cached = []
    paths = [os.fsdecode(path) for path in cached] + [place + "/" + NAME for place in PLACES]
    return next((path for path in paths if host.exists(path)), "")


def version_in(path: str) -> str:
    """The version that the real file's name ends with: libnvidia-ml.so.580.95.05 is 580.95.05."""
    found = re.search(r"\.so\.(\d+\.\d+(?:\.\d+)?)$", path)
    return found.group(1) if found else ""
