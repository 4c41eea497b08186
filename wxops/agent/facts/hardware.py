"""Processors, memory, and what the firmware says about the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

PROCESSOR_FIELDS = frozenset(["model name", "Processor", "vendor_id", "cpu", "Vendor", "processor"])
DMI = "/sys/devices/virtual/dmi/id/"
DMI_FILES = {
    "bios_date": "bios_date", "bios_vendor": "bios_vendor", "bios_version": "bios_version",
    "board_asset_tag": "board_asset_tag", "board_name": "board_name", "board_serial": "board_serial",
    "board_vendor": "board_vendor", "board_version": "board_version",
    "chassis_asset_tag": "chassis_asset_tag", "chassis_serial": "chassis_serial",
    "chassis_vendor": "chassis_vendor", "chassis_version": "chassis_version",
    "product_name": "product_name", "product_serial": "product_serial", "product_uuid": "product_uuid",
    "product_version": "product_version", "system_vendor": "sys_vendor",
}  # fmt: skip
CHASSIS_TYPES = (  # SMBIOS specification DSP0134, table "System Enclosure or Chassis Types"; 0 is not assigned
    "Unknown", "Other", "Unknown", "Desktop", "Low Profile Desktop", "Pizza Box", "Mini Tower", "Tower", "Portable",
    "Laptop", "Notebook", "Hand Held", "Docking Station", "All In One", "Sub Notebook", "Space-saving", "Lunch Box",
    "Main Server Chassis", "Expansion Chassis", "Sub Chassis", "Bus Expansion Chassis", "Peripheral Chassis",
    "RAID Chassis", "Rack Mount Chassis", "Sealed-case PC", "Multi-system", "CompactPCI", "AdvancedTCA", "Blade",
    "Blade Enclosure", "Tablet", "Convertible", "Detachable", "IoT Gateway", "Embedded PC", "Mini PC", "Stick PC",
)  # fmt: skip


def processors(host: Host) -> Dict[str, Any]:
    """Sockets, the cores of the first socket and its threads a core, as /proc/cpuinfo counts them."""
    listed: List[str] = []
    counts: Dict[str, int] = {}
    cores_of_socket: Dict[str, int] = {}
    socket, siblings, flags = "", 0, ""
    for line in host.lines("/proc/cpuinfo"):
        field, _, value = line.partition(":")
        field, value = field.rstrip(), value.strip()
        if field in PROCESSOR_FIELDS:
            listed.append(value)
            counts[field] = counts.get(field, 0) + 1
        elif field == "flags":
            flags = value
        elif field == "physical id":
            socket = value
            cores_of_socket.setdefault(socket, 1)
        elif field == "cpu cores":
            cores_of_socket[socket] = int(value)
        elif field == "siblings" and not siblings:
            siblings = int(value)
    if not listed:
        return {}
    sockets = len(cores_of_socket) or _without_sockets(counts, len(listed), str(host.facts.get("architecture")))
    cores = next(iter(cores_of_socket.values()), 1)
    threads = round((siblings or 1) / cores)
    facts = {"processor": listed, "processor_count": sockets, "processor_cores": cores,
             "processor_threads_per_core": threads, "processor_vcpus": threads * sockets * cores,
             "processor_nproc": len(os.sched_getaffinity(0))}  # fmt: skip
    return dict(facts, flags=flags.split()) if flags else facts


def _without_sockets(counts: Dict[str, int], listed: int, architecture: str) -> int:
    """How many processors there are where cpuinfo names no sockets: ARM, POWER, some virtual machines."""
    if architecture.startswith(("armv", "aarch", "ppc")):
        return counts.get("processor", 0)
    vendors = counts.get("vendor_id", 0)
    return vendors if vendors and vendors == counts.get("model name") else listed


def memory(host: Host) -> Dict[str, Any]:
    """In MiB. `nocache` counts what the page cache holds as free."""
    kib = {}
    for line in host.lines("/proc/meminfo"):
        name, _, value = line.partition(":")
        kib[name] = value
    names = ("MemTotal", "MemFree", "SwapTotal", "SwapFree", "Buffers", "Cached", "SwapCached")
    mib = {name: int(kib[name].split()[0]) // 1024 for name in names if name in kib}
    if len(mib) < len(names):
        return {}
    total, free, reclaimable = mib["MemTotal"], mib["MemFree"], mib["MemFree"] + mib["Cached"] + mib["Buffers"]
    swap, swap_free = mib["SwapTotal"], mib["SwapFree"]
    return {
        "memtotal_mb": total, "memfree_mb": free, "swaptotal_mb": swap, "swapfree_mb": swap_free,
        "memory_mb": {
            "real": {"total": total, "used": total - free, "free": free},
            "nocache": {"free": reclaimable, "used": total - reclaimable},
            "swap": {"total": swap, "free": swap_free, "used": swap - swap_free, "cached": mib["SwapCached"]},
        },
    }  # fmt: skip


def firmware(host: Host) -> Dict[str, Any]:
    """The DMI tables as the kernel shows them; serial numbers only to root, "NA" otherwise."""
    facts = {fact: host.read(DMI + name) or "NA" for fact, name in DMI_FILES.items()}
    kind = host.read(DMI + "chassis_type")
    known = kind.isdigit() and int(kind) < len(CHASSIS_TYPES)
    facts["form_factor"] = CHASSIS_TYPES[int(kind)] if known else "unknown (%s)" % kind if kind else "NA"
    return facts
