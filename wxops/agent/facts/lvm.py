"""LVM's volume groups, physical and logical volumes. Its commands are slow: they run only where LVM is in use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host

OPTIONS = ("--noheadings", "--nosuffix", "--units", "g", "--separator", ",")
UDEV = "/run/udev/data"


def lvm(host: Host) -> Dict[str, Any]:
    """Sizes are text in GiB. "N/A" without LVM's commands, or without the right to ask them."""
    if not host.command("vgs") or os.geteuid() != 0:
        return {"lvm": "N/A"}
    in_use = _in_use(host)
    vgs, lvs, pvs = (_rows(host, name) if in_use else [] for name in ("vgs", "lvs", "pvs"))
    return {
        "lvm": {
            "vgs": {
                row[0]: {"size_g": row[-2], "free_g": row[-1], "num_lvs": row[2], "num_pvs": row[1]} for row in vgs
            },
            "lvs": {row[0]: {"size_g": row[3], "vg": row[1]} for row in lvs},
            "pvs": {_mapped(host, row[0]): {"size_g": row[4], "free_g": row[5], "vg": row[1]} for row in pvs},
        }
    }


def _in_use(host: Host) -> bool:
    """Has udev seen a physical volume, or does it keep no records here that could tell?"""
    records = [name for name in host.names(UDEV) if name.startswith("b")]
    return not records or any("=LVM2_member" in host.read(UDEV + "/" + name) for name in records)


def _rows(host: Host, name: str) -> List[List[str]]:
    command = host.command(name)
    return [line.strip().split(",") for line in host.output(command, *OPTIONS).splitlines()] if command else []


def _mapped(host: Host, device: str) -> str:
    """/dev/dm-0 by the name that was given to it."""
    name = host.read("/sys/block/%s/dm/name" % os.path.basename(device)) if device.startswith("/dev/dm-") else ""
    return "/dev/mapper/" + name if name else device
