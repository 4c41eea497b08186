"""Kernel modules that are never loaded on their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Literal

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change


def kernel_blacklist(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    blacklist_file: Path = "/etc/modprobe.d/blacklist-ansible.conf",
) -> Dict[str, Any]:
    """Put a kernel module on modprobe's blacklist, or take it off. One that is loaded stays loaded.

    name: the kernel module.
    state: whether it is to be on the list.
    blacklist_file: the file with the list.
    """
    text = (change.read(blacklist_file) or b"").decode("utf-8", "surrogateescape")
    entry = re.compile(r"^\s*blacklist\s+%s\s*$" % re.escape(name))
    lines = text.splitlines()
    after = [line for line in lines if state == "present" or not entry.match(line)]
    if state == "present" and not any(map(entry.match, lines)):
        after.append("blacklist " + name)
    if after != lines:
        change.write(blacklist_file, "".join(line + "\n" for line in after).encode("utf-8", "surrogateescape"))
    return {"name": name, "state": state}
