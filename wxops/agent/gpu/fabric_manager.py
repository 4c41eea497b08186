"""nvidia-fabricmanager, which joins the GPUs of a board with NVSwitches: its version, and whether it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.packages import Installed

PROGRAM = "nv-fabricmanager"
PROCESS = PROGRAM[:15]  # the kernel keeps so much of a name


def fabric_manager(host: Host, installed: Installed) -> Optional[Dict[str, Any]]:
    """None when it is not installed."""
    named = (name for name in installed if name.startswith(("nvidia-fabricmanager", "nvidia-fabric-manager")))
    package = next((name for name in named if "dev" not in name), "")
    program = host.command(PROGRAM)
    if not package and not program:
        return None
    version = installed[package]["version"] if package else host.output(program, "--version").split()[-1]
    return {"version": upstream(version), "active": runs(host, PROCESS)}


def upstream(version: str) -> str:
    """The maker's version in a distribution's: 550.54.15 of 550.54.15-0ubuntu1, 5:27.3.1-1~debian."""
    return version.rpartition(":")[2].partition("-")[0].partition("+")[0].partition("~")[0]


def runs(host: Host, name: str) -> bool:
    return any(host.read("/proc/%s/comm" % pid) == name for pid in host.names("/proc") if pid.isdigit())
