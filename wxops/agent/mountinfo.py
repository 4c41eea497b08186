"""What is mounted where, as the kernel tells in /proc/self/mountinfo."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

MOUNTINFO = "/proc/self/mountinfo"
NOT_TAKEN_BY_MOUNT = ("seclabel",)
"""Options that the kernel shows and mount(8) does not take: https://docs.kernel.org/filesystems/mount_api.html"""


class Mount:
    """One line of mountinfo: https://docs.kernel.org/filesystems/proc.html (3.5)."""

    def __init__(self, line: str) -> None:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        self.device, self.root, self.point = fields[2], _unescaped(fields[3]), _unescaped(fields[4])
        self.fstype, self.source = rest[0], _unescaped(rest[1])
        own, super_block = fields[5].split(","), (rest[2] if len(rest) > 2 else "").split(",")
        self.options = ",".join(dict.fromkeys(
            option for option in [*own, *super_block[1:]] if option not in NOT_TAKEN_BY_MOUNT
        ))  # fmt: skip
        """Those of the mount, then those of its file system; of both the first says ro or rw, the mount's counts."""


def read() -> List[Mount]:
    """All mounts, in the order in which they were made."""
    with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
        return [Mount(line) for line in file]


def shown_directory(mount: Mount, mounts: List[Mount]) -> Optional[str]:
    """The directory that a bind mount shows, as a path; None for a file system's root or where it is nowhere else."""
    for other in mounts:
        if other is not mount and other.device == mount.device and other.point != mount.point:
            inside = os.path.relpath(mount.root, other.root)
            if not inside.startswith(".."):
                return os.path.normpath(os.path.join(other.point, inside))
    return None


def describe(point: str) -> Dict[str, Any]:
    """What is mounted at a path, the topmost of `layers`: source, fstype, options, and `bind` for a bind mount."""
    mounts = read()
    here = [mount for mount in mounts if mount.point == point]
    if not here:
        return {"layers": 0}
    top = here[-1]
    directory = shown_directory(top, mounts) if top.root != "/" or _is_bind(top, mounts) else None
    return {"layers": len(here), "source": directory or top.source, "fstype": top.fstype, "options": top.options,
            "device": top.source, "bind": directory is not None}  # fmt: skip


def _is_bind(top: Mount, mounts: List[Mount]) -> bool:
    """Another mount of the whole file system: then mount(8) must not open the device again."""
    return any(other.device == top.device and other.point != top.point for other in mounts[: mounts.index(top)])


def _unescaped(field: str) -> str:
    """The kernel writes blanks and such as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)
