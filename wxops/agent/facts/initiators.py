"""The names by which this host is known in storage networks: iSCSI, NVMe over fabrics, Fibre Channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host


def iscsi(host: Host) -> Dict[str, Any]:
    return {"iscsi_iqn": _first(host, "/etc/iscsi/initiatorname.iscsi", "InitiatorName=").partition("=")[2]}


def nvme(host: Host) -> Dict[str, Any]:
    return {"hostnqn": _first(host, "/etc/nvme/hostnqn", "nqn.")}


def fibre_channel(host: Host) -> Dict[str, Any]:
    names = [host.read("/sys/class/fc_host/%s/port_name" % port) for port in host.names("/sys/class/fc_host")]
    return {"fibre_channel_wwn": [name[2:] for name in names if name]}


def _first(host: Host, path: str, start: str) -> str:
    return next((line for line in host.lines(path) if line.startswith(start)), "")
