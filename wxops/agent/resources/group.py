"""A group of the host: made and changed by groupadd(8) and its like, put back as the very lines it had."""

from __future__ import annotations

import grp
from typing import TYPE_CHECKING

from wxops.agent.accounts.databases import Accounts, clear_interrupted, editing
from wxops.agent.accounts.describe import difference
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, List

    from wxops.agent.change import View
    from wxops.agent.resources import State

DATABASES = ("group", "gshadow")
HOW = "how"
"""The key of a wanted state for options that are no part of it: system, non_unique, gid_min, gid_max, force."""


class GroupKind(Kind):
    """States: {"exists": False, "lines"}, or exists, gid, local (in /etc/group, not in LDAP or the like),

    lines (database -> its lines and their places) and primary (the users whose primary group it is).
    """

    def read(self, name: str, view: View) -> State:
        accounts = Accounts()
        fields = accounts.fields("group", name)
        lines = {database: accounts.placed(database, name) for database in DATABASES}
        if fields is None:
            return {"lines": lines, **_elsewhere(name)}
        primary = [line.split(":")[0] for line in accounts.lines("passwd") if line.split(":")[3:4] == [fields[2]]]
        return {"exists": True, "gid": int(fields[2]), "local": True, "lines": lines, "primary": primary}

    def same(self, now: State, wanted: State) -> bool:
        if _without_members(now) != _without_members(wanted) and "lines" in wanted:
            return False
        return all(now.get(key) == value for key, value in wanted.items() if key not in (HOW, "primary", "lines"))

    def merged(self, before: State, wanted: State) -> State:
        after = dict(before if wanted["exists"] else {}, **wanted)
        if "lines" not in wanted:
            after.pop("lines", None)
        return after

    def write(self, name: str, state: State) -> None:
        if "lines" in state:
            _put_back(name, state)
            return
        argv = _command(name, self.read(name, None), state)  # type: ignore[arg-type]  # needs no other state
        if argv:
            done = run(argv)
            if done.rc != 0:
                raise ModuleFailure(done.stderr.strip() or "%s ended with %d" % (argv[0], done.rc), name=name)

    def recover(self, name: str) -> None:
        clear_interrupted()

    def fingerprint(self, state: State) -> State:
        return {key: state[key] for key in ("exists", "gid") if key in state}

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return difference("group " + name, self.fingerprint(before), self.fingerprint(after))


KIND = GroupKind()


def _elsewhere(name: str) -> State:
    """A group that only NSS knows (LDAP, sssd)."""
    try:
        return {"exists": True, "gid": grp.getgrnam(name).gr_gid, "local": False}
    except KeyError:
        return {"exists": False}


def _without_members(state: State) -> List[str]:
    """A group's lines less their places and members, which other names' changes move."""
    return [line.rsplit(":", 1)[0] for placed in state.get("lines", {}).values() for _, line in placed]


def _command(name: str, now: State, wanted: State) -> List[str]:
    """What groupadd, groupmod or groupdel has to be told; nothing when it is so already."""
    how = wanted.get(HOW, {})
    number = ["--gid", str(wanted["gid"])] if wanted.get("gid") not in (None, now.get("gid")) else []
    if number and how.get("non_unique"):
        number.append("--non-unique")
    if not wanted["exists"]:
        return ["groupdel", *(["--force"] if how.get("force") else []), name] if now["exists"] else []
    if now["exists"] and (now["local"] or not wanted.get("local")):
        return ["groupmod", *number, name] if number else []
    limits = ["--key=%s=%d" % (key.upper(), how[key]) for key in ("gid_min", "gid_max") if how.get(key) is not None]
    return ["groupadd", *number, *(["--system"] if how.get("system") else []), *limits, name]


def _put_back(name: str, state: State) -> None:
    """The lines that there were, at their places; members that joined since stay."""
    with editing() as accounts:
        now = accounts.fields("group", name)
        before = next((line.split(":") for _, line in state["lines"]["group"]), None)
        for database in DATABASES:
            if now is None or before is None:
                accounts.put_back(database, name, state["lines"][database])
        if now is not None and before is not None and now[2] != before[2]:
            accounts.set_field("group", name, 2, before[2])
            for user in state.get("primary", []):
                accounts.set_field("passwd", user, 3, before[2])
