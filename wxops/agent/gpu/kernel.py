"""The kernel modules that drive NVIDIA's GPUs, or keep the right one from driving them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.facts.host import Host

VERSION = "/proc/driver/nvidia/version"
WORDS = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")


def nvidia_module(host: Host) -> Optional[Dict[str, Any]]:
    """The loaded one: as it says itself, else as sysfs has its version; None when none is loaded."""
    told = host.read(VERSION)
    found = WORDS.search(told)
    version = found.group(1) if found else host.read("/sys/module/nvidia/version")
    if not version and not host.exists("/sys/module/nvidia"):
        return None
    return {"version": version, "open": "Open Kernel Module" in told}


def nouveau_loaded(host: Host) -> bool:
    return host.exists("/sys/module/nouveau")


def module_on_disk(host: Host) -> str:
    """The version of the module that the running kernel would load; "" when none is built for it."""
    modinfo = host.command("modinfo")
    return host.output(modinfo, "-F", "version", "nvidia").strip() if modinfo else ""
