"""Intel's Gaudi accelerators: as its tool hl-smi lists them, and the kernel module habanalabs.

https://docs.habana.ai/en/latest/Management_and_Monitoring/Embedded_System_Tools_Guide/System_Management_Interface_Tool.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.gpu.fabric_manager import upstream
from wxops.agent.gpu.pci import GAUDI
from wxops.agent.gpu.reading import read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.packages import Installed
    from wxops.agent.gpu.reading import Reading

MODULES = ("habanalabs", "habanalabs_cn")
TOOL = "hl-smi"
ASKED = ("index", "name", "uuid", "bus_id", "driver_version", "memory.total", "memory.used", "temperature.aip")
PACKAGES = ("habanalabs-graph", "habanalabs-thunk", "habanalabs-dkms")
MIB = 1 << 20


def gaudi(host: Host, devices: List[Dict[str, Any]], installed: Installed) -> Optional[Dict[str, Any]]:
    """None when there is neither such a device nor its software. devices: the record's `pci`."""
    cards = [device for device in devices if device["vendor"] == GAUDI]
    tool = host.command(TOOL)
    if not cards and not tool:
        return None
    rows = _rows(host, tool)
    package = next((name for name in PACKAGES if name in installed), "")
    version = upstream(str(installed[package]["version"])) if package else ""
    return {
        "vendor": "gaudi", "driver": _driver(host, rows), "tool": tool[len(host.root):],
        "runtime": read(version) if version else unknown("no package of SynapseAI is installed"),
        "gpus": rows if "value" not in rows else read([_card(row) for row in rows["value"]]),
    }  # fmt: skip


def _rows(host: Host, tool: str) -> Reading:
    if not tool:
        return unknown("%s is not installed" % TOOL)
    try:
        told = host.output(tool, "-Q", ",".join(ASKED), "-f", "csv,noheader,nounits")
    except ModuleFailure as failure:  # it took too long
        return unknown(str(failure.result["msg"]))
    rows = [[word.strip() for word in line.split(",")] for line in told.splitlines() if line.strip()]
    found = [dict(zip(ASKED, row)) for row in rows if len(row) == len(ASKED) and row[0].isdigit()]
    return read(found) if found else unknown("%s lists no devices" % TOOL)


def _driver(host: Host, rows: Reading) -> Reading:
    """1.22.0 of 1.22.0-ab12cd3, from the loaded module or else as the tool has it."""
    version = next(filter(None, (host.read("/sys/module/%s/version" % name) for name in MODULES)), "")
    told = version or next((row["driver_version"] for row in rows.get("value") or []), "")
    return read(upstream(told)) if told else unknown("the kernel module habanalabs is not loaded")


def _card(row: Dict[str, str]) -> Dict[str, Any]:
    name = row["name"]
    return {
        "index": int(row["index"]), "name": _value(name), "uuid": _value(row["uuid"]),
        "pci_address": _value(row["bus_id"].lower()), "memory_total": _number(row["memory.total"], MIB),
        "memory_used": _number(row["memory.used"], MIB), "temperature": _number(row["temperature.aip"]),
    }  # fmt: skip


def _value(told: str) -> Reading:
    return read(told) if told and told not in ("N/A", "[N/A]") else unknown("%s says %r" % (TOOL, told))


def _number(told: str, unit: int = 1) -> Reading:
    """Some versions repeat the unit although asked not to."""
    word = told.split()[0] if told.split() else ""
    return read(int(word) * unit) if word.isdigit() else unknown("%s says %r" % (TOOL, told))
