"""What starts and supervises services here, and systemd's own version."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host

BY_INIT = {"procd": "openwrt_init", "runit-init": "runit", "svscan": "svc", "openrc-init": "openrc"}
SYSTEMD_RUNS = ("/run/systemd/system/", "/dev/.run/systemd/", "/dev/.systemd/")  # as sd_booted(3)


def service_manager(host: Host) -> Dict[str, Any]:
    """Process 1 says it, unless it goes by a name that many share (init, or a container's shell)."""
    init = os.path.basename(host.read("/proc/1/comm")) or os.path.basename(host.link("/sbin/init"))
    if init and init != "init" and not init.endswith("sh"):
        return {"service_mgr": BY_INIT.get(init, init)}
    return {"service_mgr": _by_traces(host)}


def _by_traces(host: Host) -> str:
    if _systemd_runs(host):
        return "systemd"
    if host.exists("/sbin/openrc"):
        return "openrc"
    if host.command("systemctl") and os.path.basename(host.link("/sbin/init")) == "systemd":
        return "systemd"
    return "sysvinit" if host.exists("/etc/init.d/") else "service"


def systemd(host: Host) -> Dict[str, Any]:
    if not _systemd_runs(host):
        return {}
    lines = host.output(host.command("systemctl"), "--version").splitlines()
    return {"systemd": {"version": int(lines[0].split()[1]), "features": lines[1]}} if len(lines) > 1 else {}


def _systemd_runs(host: Host) -> bool:
    return bool(host.command("systemctl")) and any(host.exists(path) for path in SYSTEMD_RUNS)
