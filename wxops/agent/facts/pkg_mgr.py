"""The package manager that the distribution itself uses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host

BY_COMMAND = (  # the last one found counts
    ("/usr/bin/rpm-ostree", "atomic_container"),
    ("/usr/bin/yum", "dnf"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/bin/pacman", "pacman"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/bin/xbps-install", "xbps"),
)


def package_manager(host: Host) -> Dict[str, Any]:
    family = host.facts.get("os_family")
    if family == "Debian":  # dnf or rpm may be installed there too, as tools
        return {"pkg_mgr": "apt"}
    if family == "RedHat":
        return {"pkg_mgr": _of_red_hat(host)}
    found = [name for path, name in BY_COMMAND if host.exists(path)]
    return {"pkg_mgr": found[-1] if found else "unknown"}


def _of_red_hat(host: Host) -> str:
    if host.exists("/run/ostree-booted"):
        return "atomic_container"
    for path in ("/usr/bin/dnf", "/usr/bin/microdnf"):
        if host.exists(path):
            return "dnf5" if os.path.basename(os.path.realpath(host.root + path)) == "dnf5" else "dnf"
    return "unknown"
