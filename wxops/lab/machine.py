"""What this machine must offer before it can boot lab hosts, checked before anything is touched."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from wxops.errors import LabError

# The tools that the lab starts, and the Debian package that each comes from.
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "iptables": "iptables",
    "docker-registry": "docker-registry",
    "openssl": "openssl",
}

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES = 2048
"""A booted host takes about ten instances, and the kernel's default is 128 for all of root's: a dozen hosts."""


def require_lab() -> None:
    """Raise LabError, with what to do, unless this machine can boot lab hosts."""
    if platform.system() != "Linux":
        raise LabError(
            f"The lab boots Linux hosts in namespaces, and this machine runs {platform.system()}.",
            fix="Run it on a Debian 12 machine or virtual machine.",
        )
    if os.geteuid() != 0:
        raise LabError("The lab needs root: it mounts, makes network namespaces and boots hosts.", fix="Use sudo.")
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise LabError(
            f"The lab needs packages that this machine lacks: {', '.join(missing)}.",
            fix=f"Run `make setup`, or: apt-get install {' '.join(missing)}",
        )
    kernel_lacks = [kind for kind in ("net", "pid", "mnt", "uts", "cgroup") if not Path("/proc/self/ns", kind).exists()]
    if kernel_lacks:
        raise LabError(
            f"This kernel has no {', '.join(kernel_lacks)} namespaces, so no lab host can boot here.",
            fix="Run the lab on a machine of its own, not in a restricted container.",
        )


def allow_many_hosts() -> None:
    """Raise the limit beyond which systemd's path units fail in hosts that boot; it is never lowered."""
    if int(INOTIFY.read_text()) < INSTANCES:
        INOTIFY.write_text(str(INSTANCES))
