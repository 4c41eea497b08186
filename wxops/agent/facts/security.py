"""What confines processes on this host: SELinux, AppArmor, FIPS mode, and the capabilities that this process has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host

SELINUX_FILES = "/sys/fs/selinux"
SELINUX_CONFIG = "/etc/selinux/config"
MODES = {"1": "enforcing", "0": "permissive"}


def selinux(host: Host) -> Dict[str, Any]:
    """Read from the kernel and its configuration, so that libselinux need not be loaded."""
    facts: Dict[str, Any] = {"status": "enabled" if _selinux_enabled(host) else "disabled"}
    if facts["status"] == "enabled":
        settings = dict(line.split("=", 1) for line in host.lines(SELINUX_CONFIG) if "=" in line and line[0] != "#")
        version = host.read(SELINUX_FILES + "/policyvers")
        facts["policyvers"] = int(version) if version else "unknown"
        facts["config_mode"] = settings.get("SELINUX", "unknown").strip().lower()
        facts["mode"] = MODES.get(host.read(SELINUX_FILES + "/enforce"), "unknown")
        facts["type"] = settings.get("SELINUXTYPE", "unknown").strip()
    return {"selinux": facts, "selinux_python_present": _has_libselinux(host)}


def _selinux_enabled(host: Host) -> bool:
    """As libselinux decides: configured, and its file system mounted for writing (a container sees it read-only)."""
    if not (host.exists(SELINUX_CONFIG) and host.exists(SELINUX_FILES + "/enforce")):
        return False
    return not os.statvfs(host.root + SELINUX_FILES).f_flag & os.ST_RDONLY


def _has_libselinux(host: Host) -> bool:
    folders = ["/usr/lib64", "/usr/lib", "/lib64", "/lib"]
    folders += ["/usr/lib/" + name for name in host.names("/usr/lib") if "-linux-gnu" in name]
    return any(host.exists(folder + "/libselinux.so.1") for folder in folders)


def apparmor(host: Host) -> Dict[str, Any]:
    return {"apparmor": {"status": "enabled" if host.exists("/sys/kernel/security/apparmor") else "disabled"}}


def fips(host: Host) -> Dict[str, Any]:
    return {"fips": host.read("/proc/sys/crypto/fips_enabled") == "1"}


def capabilities(host: Host) -> Dict[str, Any]:
    """What `capsh --print` calls current. It is run only for a process that lacks some: root usually has all."""
    command = host.command("capsh")
    if not command:
        return {"system_capabilities_enforced": "N/A", "system_capabilities": "N/A"}
    if _has_every_capability(host):
        return {"system_capabilities_enforced": "False", "system_capabilities": []}
    current = [line for line in host.output(command, "--print").splitlines() if line.startswith("Current:")]
    text = current[0].split(":", 1)[1].strip() if current else ""
    names = [name.strip() for name in text.partition("=")[2].split(",")] if current else []
    return {"system_capabilities_enforced": "True" if current else "NA", "system_capabilities": names}


def _has_every_capability(host: Host) -> bool:
    sets = dict(line.split(":", 1) for line in host.lines("/proc/self/status") if line.startswith("Cap"))
    last = host.read("/proc/sys/kernel/cap_last_cap")
    if not last or not sets:
        return False
    every = (1 << int(last) + 1) - 1
    permitted, effective, inherited = (int(sets[name], 16) for name in ("CapPrm", "CapEff", "CapInh"))
    return permitted == effective == every and inherited == 0
