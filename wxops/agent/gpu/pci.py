"""GPUs and accelerators as the PCI bus has them, with or without a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

DEVICES = "/sys/bus/pci/devices"
NVIDIA, AMD, GAUDI = "10de", "1002", "1da3"
CLASSES = ("0x03", "0x12")  # displays (also those without an output), processing accelerators
NO_WIDTH = 255


def pci(host: Host) -> List[Dict[str, Any]]:
    found = []
    for address in sorted(host.names(DEVICES)):
        folder = "%s/%s/" % (DEVICES, address)
        vendor = host.read(folder + "vendor")[2:]
        if vendor not in (NVIDIA, AMD, GAUDI) or not host.read(folder + "class").startswith(CLASSES):
            continue
        found.append({
            "address": address, "vendor": vendor, "device": host.read(folder + "device")[2:],
            "driver": host.link(folder + "driver").rpartition("/")[2],
            "width": _lanes(host, folder + "current_link_width"), "max_width": _lanes(host, folder + "max_link_width"),
        })  # fmt: skip
    return found


def _lanes(host: Host, path: str) -> int:
    """0 where the kernel says nothing, or 255: a device that no longer answers on the bus."""
    text = host.read(path)
    return int(text) if text.isdigit() and int(text) != NO_WIDTH else 0
