"""The host's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change

FILE = "/etc/hostname"
LONGEST = 64  # of the kernel, __NEW_UTS_LEN


def hostname(
    change: Change,
    name: str,
    use: Optional[Literal["debian", "generic", "redhat", "sles", "systemd"]] = None,
) -> Dict[str, Any]:
    """Name the host, for the running kernel and for the next boot.

    name: the new name.
    use: taken for Ansible's sake: all of these keep the name in /etc/hostname.
    """
    if len(name) > LONGEST or not re.match(r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", name):
        raise ModuleFailure("%r is no name for a host: letters, digits, - and ., at most %d" % (name, LONGEST))
    permanent = (change.read(FILE) or b"").decode("utf-8", "replace").strip()
    if permanent != name:
        change.write(FILE, name.encode() + b"\n", mode=None if permanent else "0644")
    change.set("hostname", "running", {"hostname": name})
    return {"name": name, "ansible_facts": _facts(name)}


def _facts(name: str) -> Dict[str, str]:
    import socket

    full = name if "." in name else socket.getfqdn(name)
    return {"ansible_hostname": name.split(".")[0], "ansible_nodename": name, "ansible_fqdn": full,
            "ansible_domain": ".".join(full.split(".")[1:])}  # fmt: skip
