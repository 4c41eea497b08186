"""Disks and their partitions, from /sys/block and the links under /dev/disk."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

    Links = Dict[str, Dict[str, List[str]]]

UNITS = ("Bytes", "KB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


def devices(host: Host) -> Dict[str, Any]:
    links = {
        "ids": _links(host, "/dev/disk/by-id"),
        "uuids": _links(host, "/dev/disk/by-uuid"),
        "labels": _links(host, "/dev/disk/by-label"),
        "masters": _masters(host),
    }
    disks = {name: _disk(host, name, links) for name in host.names("/sys/block")}
    _name_controllers(host, disks)
    return {"devices": disks, "device_links": links}


def _links(host: Host, folder: str) -> Dict[str, List[str]]:
    """The names under which each device appears in a directory of links."""
    found: Dict[str, List[str]] = {}
    for name in sorted(host.names(folder)):
        found.setdefault(os.path.basename(host.link(folder + "/" + name)), []).append(name)
    found.pop("", None)
    return found


def _masters(host: Host) -> Dict[str, List[str]]:
    """For each device, those built on it: RAID arrays, LVM volumes."""
    found: Dict[str, List[str]] = {}
    for owner in sorted(host.names("/sys/block")):
        for device in host.names("/sys/block/%s/slaves" % owner):
            found.setdefault(device, []).append(owner)
    return found


def _disk(host: Host, name: str, links: Links) -> Dict[str, Any]:
    folder = "/sys/block/" + name
    granularity = host.read(folder + "/queue/discard_granularity") or None
    disk: Dict[str, Any] = {
        field: host.read("%s/device/%s" % (folder, field)) or None
        for field in ("vendor", "model", "sas_address", "sas_device_handle")
    }
    disk.update(_size(host, folder, host.read(folder + "/queue/logical_block_size") or 512))
    disk.update(
        virtual=1,  # Ansible says so of every disk on today's kernels; plays compare with it
        links=_links_of(name, links),
        removable=host.read(folder + "/removable") or None,
        support_discard="0" if host.read(folder + "/queue/discard_max_hw_bytes") == "0" else granularity,
        rotational=host.read(folder + "/queue/rotational") or None,
        scheduler_mode=_bracketed(host.read(folder + "/queue/scheduler")),
        host="",
        holders=_holders(host, folder),
        partitions={part: _partition(host, folder, part, links) for part in _partitions(host, folder, name)},
    )
    serial = _serial(host, folder)
    if serial:
        disk["serial"] = serial
    wwn = [identity for identity in disk["links"]["ids"] if identity.startswith("wwn-")]
    if wwn:
        disk["wwn"] = wwn[-1][4:]
    return disk


def _partitions(host: Host, folder: str, disk: str) -> List[str]:
    """sda1 of sda, nvme0n1p1 of nvme0n1."""
    parts = [name for name in host.names(folder) if name.startswith(disk)]
    return [name for name in parts if name[len(disk) :].lstrip("p").isdigit()]


def _partition(host: Host, disk: str, name: str, links: Links) -> Dict[str, Any]:
    folder = disk + "/" + name
    uuids = links["uuids"].get(name)
    return dict(
        _size(host, folder, 512),
        links=_links_of(name, links),
        start=host.read(folder + "/start") or 0,
        uuid=uuids[0] if uuids else None,
        holders=_holders(host, folder),
    )


def _size(host: Host, folder: str, sector: Any) -> Dict[str, Any]:
    """sysfs counts in sectors of 512 bytes, whatever those of the disk are."""
    sectors = int(host.read(folder + "/size") or 0) * 512 // int(sector)
    return {"sectors": sectors, "sectorsize": sector, "size": _readable(sectors * int(sector))}


def _readable(size: int) -> str:
    power = 0
    while size >= 1 << 10 * (power + 1) and power + 1 < len(UNITS):
        power += 1
    return "%.2f %s" % (size / (1 << 10 * power), UNITS[power])


def _links_of(device: str, links: Links) -> Dict[str, List[str]]:
    return {kind: names.get(device, []) for kind, names in links.items()}


def _holders(host: Host, folder: str) -> List[str]:
    """The device mapper volumes on a disk or partition, by their own names."""
    volumes = [name for name in host.names(folder + "/holders") if name.startswith("dm-")]
    return [host.read("%s/holders/%s/dm/name" % (folder, name)) or name for name in volumes]


def _bracketed(text: str) -> str:
    """The choice that is in force, of "mq-deadline [none]"."""
    return text.partition("[")[2].partition("]")[0]


def _serial(host: Host, folder: str) -> str:
    """NVMe and virtio disks show it as text, SCSI disks in vital product data page 0x80 (4 bytes of header)."""
    return host.read(folder + "/device/serial") or host.read(folder + "/device/vpd_pg80")[4:].strip(" \0")


def _name_controllers(host: Host, disks: Dict[str, Dict[str, Any]]) -> None:
    """Put lspci's name of the controller in each PCI disk's `host`; without such disks lspci is not run."""
    addresses = {}
    for name in disks:
        found = re.findall(r"/([0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/)", host.link("/sys/block/" + name))
        if found:
            addresses[name] = found[-1]  # behind bridges, the last is the controller itself
    command = host.command("lspci") if addresses else ""
    if command:
        controllers = dict(line.split(" ", 1) for line in host.output(command, "-D").splitlines() if " " in line)
        for name, address in addresses.items():
            disks[name]["host"] = controllers.get(address, "")
