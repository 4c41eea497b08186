"""Groups of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.accounts.databases import Accounts
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.group import HOW

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change


def group(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    gid: Optional[int] = None,
    system: bool = False,
    force: bool = False,
    local: bool = False,
    non_unique: bool = False,
    gid_min: Optional[int] = None,
    gid_max: Optional[int] = None,
) -> Dict[str, Any]:
    """Make, change or remove a group. A rollback puts back the lines that /etc/group and /etc/gshadow had.

    name: the group.
    state: whether it is to exist.
    gid: its number.
    system: make it a system group, with a number from that range.
    force: remove it even if it is some user's primary group.
    local: look only at /etc/group, not at LDAP or another directory.
    non_unique: allow a gid that another group has.
    gid_min: the least number for a new group, instead of GID_MIN in /etc/login.defs.
    gid_max: the greatest number for a new group, instead of GID_MAX.
    """
    if non_unique and gid is None:
        raise ModuleFailure("`non_unique` speaks of `gid`, which is missing")
    if local and (force or gid_min is not None or gid_max is not None):
        raise ModuleFailure("`local` cannot be combined with `force`, `gid_min` or `gid_max`")
    how = {"system": system, "non_unique": non_unique, "gid_min": gid_min, "gid_max": gid_max, "force": force}
    wanted: Dict[str, Any] = {"exists": state == "present", HOW: how}
    if gid is not None and state == "present":
        wanted["gid"] = gid
    if local and state == "present":
        wanted["local"] = True
    if local and state == "absent" and Accounts().fields("group", name) is None:
        return {"name": name, "state": state}
    change.set("group", name, wanted)
    now = change.state("group", name)
    known = {"gid": now["gid"], "system": system} if now["exists"] and "gid" in now else {}
    return {"name": name, "state": state, **known}
