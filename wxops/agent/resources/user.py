"""A user of the host: made and changed by useradd(8) and its like, put back as the very lines it had."""

from __future__ import annotations

import hashlib
import os
import pwd
from typing import TYPE_CHECKING

from wxops.agent.accounts.databases import Accounts, clear_interrupted, editing
from wxops.agent.accounts.describe import difference
from wxops.agent.accounts.home import give_files, move_home
from wxops.agent.accounts.lines import lines_of, put_lines_back
from wxops.agent.failure import ModuleFailure
from wxops.agent.names import group_name
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

SHADOW = {"password": 1, "changed": 2, "min": 3, "max": 4, "warn": 5, "inactive": 6, "expire": 7}
"""The fields of /etc/shadow: days since 1970, or numbers of days; "" where there is none."""
OPTIONS = {"uid": "-u", "gid": "-g", "comment": "-c", "home": "-d", "shell": "-s"}
FIELDS = range(9)
IN_USE = 8
"""What userdel and usermod end with for a user who has processes."""
BUSY = "; if a task of this run became that user, it is the run's own: do this in another run, or remove with `force`"
HOW = "how"
"""The key of a wanted state for options that are no part of it: system, non_unique, force, move_home, ..."""
UNSHOWN = (HOW, "lines", "changed", "local", "moved")


class UserKind(Kind):
    """States: {"exists": False, "lines"}, or exists, uid, gid, comment, home, shell, groups (sorted names),

    the fields of SHADOW as text (None where the user has no line there), local (in /etc/passwd, not in LDAP or the
    like), and lines (see accounts/lines.py).
    """

    def read(self, name: str, view: View) -> State:
        accounts = Accounts()
        fields = accounts.fields("passwd", name)
        if fields is None:
            return {"lines": lines_of(accounts, name), **_elsewhere(name)}
        shadow: Sequence[Optional[str]] = accounts.fields("shadow", name) or [None] * len(FIELDS)
        groups = sorted(group for group, members in accounts.members("group").items() if name in members)
        return {
            "exists": True, "uid": int(fields[2]), "gid": int(fields[3]), "comment": fields[4], "home": fields[5],
            "shell": fields[6], "groups": groups, "local": True, "lines": lines_of(accounts, name),
            **{key: shadow[field] for key, field in SHADOW.items()},
        }  # fmt: skip

    def same(self, now: State, wanted: State) -> bool:
        if "moved" in wanted and os.path.isdir(wanted["moved"]) and not os.path.lexists(wanted["home"]):
            return False
        return all(now.get(key) == value for key, value in wanted.items() if key not in (HOW, "lines", "moved"))

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """With the place that the home directory is about to be moved to."""
        moves = "moved" in after or after.get(HOW, {}).get("move_home")
        if (
            moves
            and after["home"] != before["home"]
            and os.path.isdir(before["home"])
            and not os.path.lexists(after["home"])
        ):
            return dict(before, moved=after["home"])
        return before

    def merged(self, before: State, wanted: State) -> State:
        after = dict(before if wanted["exists"] else {}, **wanted)
        if "lines" not in wanted:
            after.pop("lines", None)
        return after

    def write(self, name: str, state: State) -> None:
        now = self.read(name, None)  # type: ignore[arg-type]  # needs no other state
        if "lines" in state:
            with editing() as accounts:
                put_lines_back(accounts, name, state["lines"])
            _follow(now, state)
            return
        argv = _command(name, now, state)
        if argv:
            done = run(argv)
            if done.rc != 0:
                reason = done.stderr.strip() or "%s ended with %d" % (argv[0], done.rc)
                raise ModuleFailure(reason + (BUSY if done.rc == IN_USE else ""), name=name, rc=done.rc)
        if state["exists"]:
            _set_shadow(name, state)
            if now["exists"]:
                _follow(now, state)

    def recover(self, name: str) -> None:
        clear_interrupted()

    def fingerprint(self, state: State) -> State:
        """Without what changes of other things bring along: a group removed, or given another number.

        No line in /etc/shadow counts as the line that _begin_shadow makes: what is planned knows only the first.
        """
        shown = _shown(state, ("groups", "gid"))
        shown.update({key: shown[key] or "" for key in SHADOW if key in shown})
        if "password" in shown:
            shown["password"] = hashlib.sha256((shown["password"] or "!").encode()).hexdigest()
        return shown

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        """The fields that differ, the primary group by name; of a password hash only that it does."""
        diff = difference("user " + name, _readable(before), _readable(after))
        if after.get("password") not in (None, before.get("password")):
            diff["after"] += "password: (changed)\n"
        return diff


KIND = UserKind()


def _shown(state: State, without: Sequence[str]) -> State:
    return {key: value for key, value in state.items() if key not in UNSHOWN and key not in without}


def _readable(state: State) -> State:
    shown = _shown(state, ("password", "gid"))
    group = state.get(HOW, {}).get("group")
    if group or "gid" in state:
        shown["group"] = group or group_name(state["gid"])
    return shown


def _elsewhere(name: str) -> State:
    """A user that only NSS knows (LDAP, sssd)."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return {"exists": False}
    return {"exists": True, "uid": found.pw_uid, "gid": found.pw_gid, "comment": found.pw_gecos, "home": found.pw_dir,
            "shell": found.pw_shell, "groups": [], "local": False}  # fmt: skip


def _command(name: str, now: State, wanted: State) -> List[str]:
    """What useradd, usermod or userdel has to be told; nothing when it is so already."""
    how = wanted.get(HOW, {})
    if not wanted["exists"]:
        return ["userdel", *(["--force"] if how.get("force") else []), "--", name] if now["exists"] else []
    is_new = not now["exists"] or (bool(wanted.get("local")) and not now["local"])
    options = []
    for key, option in OPTIONS.items():
        if wanted.get(key) is not None and (is_new or now[key] != wanted[key]):
            options += [option, str(wanted[key])]
    if "-u" in options and how.get("non_unique"):
        options.append("--non-unique")
    if wanted.get("groups") is not None and (is_new or now["groups"] != wanted["groups"]):
        options += ["-G", ",".join(wanted["groups"])]
    if is_new:
        return ["useradd", "--no-create-home", *options, *_options_of_new(name, wanted, how), "--", name]
    return ["usermod", *options, "--", name] if options else []


def _options_of_new(name: str, wanted: State, how: Dict[str, Any]) -> List[str]:
    options = ["--system"] if how.get("system") else []
    options += ["--key=%s=%d" % (key.upper(), how[key]) for key in ("uid_min", "uid_max") if how.get(key) is not None]
    if how.get("seuser"):
        options += ["--selinux-user", how["seuser"]]
    if wanted.get("gid") is None and Accounts().fields("group", name) is not None:
        options.append("--no-user-group")  # useradd would fail on the group that is there
    return options


def _set_shadow(name: str, wanted: State) -> None:
    """Password and ages, written straight into /etc/shadow: on a command line everybody could read the hash."""
    with editing() as accounts:
        asked = {field: wanted[key] for key, field in SHADOW.items() if wanted.get(key) is not None}
        now = accounts.fields("shadow", name)
        if now is None and asked and accounts.fields("passwd", name) is not None:
            now = _begin_shadow(accounts, name)
        for field, value in asked.items():
            if now is not None and now[field] != value:
                accounts.set_field("shadow", name, field, value)


def _begin_shadow(accounts: Accounts, name: str) -> List[str]:
    """The line of a user who has none yet, with the password that stood in /etc/passwd, as usermod begins one."""
    password = (accounts.fields("passwd", name) or [])[1]
    line = [name, "!" if password == "x" else password, *[""] * (len(FIELDS) - 2)]
    accounts.lines("shadow").append(":".join(line))
    accounts.set_field("passwd", name, 1, "x")
    return line


def _follow(now: State, state: State) -> None:
    """Let the home directory follow its owner, to another place and to another number."""
    if not (now["exists"] and state["exists"]):
        return
    if "moved" in state:
        move_home(state["moved"], state["home"])
    elif now["home"] != state["home"] and state.get(HOW, {}).get("move_home"):
        move_home(now["home"], state["home"])
    if os.path.isdir(state["home"]) and (now["uid"], now["gid"]) != (state["uid"], state["gid"]):
        give_files(state["home"], (now["uid"], now["gid"]), (state["uid"], state["gid"]))
