"""Users of the host, with their home directories and SSH keys."""

from __future__ import annotations

import grp
import os
from typing import TYPE_CHECKING

from wxops.agent.accounts.home import default_home, login_defs, make_home, make_parents
from wxops.agent.accounts.shadow import DAY_S, looks_hashed, wanted_dates, wanted_password
from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.user import HOW

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Tuple

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.resources import State

ALIASES = {"user": "name", "createhome": "create_home"}
MAIL = "/var/mail"


def user(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    uid: Optional[int] = None,
    non_unique: bool = False,
    group: Optional[str] = None,
    groups: Optional[List[str]] = None,
    append: bool = False,
    comment: Optional[str] = None,
    home: Optional[Path] = None,
    create_home: bool = True,
    move_home: bool = False,
    skeleton: Optional[str] = None,
    umask: Optional[str] = None,
    shell: Optional[Path] = None,
    system: bool = False,
    password: Optional[str] = None,
    update_password: Literal["always", "on_create"] = "always",
    password_lock: Optional[bool] = None,
    password_expire_min: Optional[int] = None,
    password_expire_max: Optional[int] = None,
    password_expire_warn: Optional[int] = None,
    password_expire_account_disable: Optional[int] = None,
    expires: Optional[float] = None,
    uid_min: Optional[int] = None,
    uid_max: Optional[int] = None,
    seuser: Optional[str] = None,
    local: bool = False,
    force: bool = False,
    remove: bool = False,
    generate_ssh_key: bool = False,
    ssh_key_type: str = "rsa",
    ssh_key_bits: int = 0,
    ssh_key_file: Optional[Path] = None,
    ssh_key_comment: Optional[str] = None,
    ssh_key_passphrase: Optional[str] = None,
) -> Dict[str, Any]:
    """Make, change or remove a user. A rollback puts back the lines that the account databases had, and the home.

    name: the login name.
    state: whether the user is to exist.
    uid: the number.
    non_unique: allow a uid that another user has.
    group: the primary group, by name or number.
    groups: the supplementary groups; an empty string takes the user out of all of them.
    append: only add to `groups`, take out of none.
    comment: the full name (GECOS).
    home: the home directory.
    create_home: make the home directory if it does not exist.
    move_home: when `home` changes, move what the old one holds.
    skeleton: what a new home directory is copied from, instead of /etc/skel.
    umask: for a new home directory, where /etc/login.defs names no HOME_MODE.
    shell: the login shell.
    system: make a system user, with a number from that range.
    password: a hash as crypt(5) makes it, or `*` or `!` for none. It is shown nowhere.
    update_password: `on_create` leaves the password of an existing user alone.
    password_lock: true locks the password, false unlocks it.
    password_expire_min: days before a password may be changed.
    password_expire_max: days after which it must be changed.
    password_expire_warn: days of warning before that.
    password_expire_account_disable: days after that until the account is disabled.
    expires: when the account ends, in seconds since 1970; a negative number means never.
    uid_min: the least number for a new user, instead of UID_MIN in /etc/login.defs.
    uid_max: the greatest number for a new user, instead of UID_MAX.
    seuser: the SELinux user of a new user.
    local: look only at /etc/passwd, not at LDAP or another directory.
    force: with `state: absent`, remove even a user who is logged in; with `generate_ssh_key`, make a new key over one.
    remove: with `state: absent`, remove the home directory and the mailbox too.
    generate_ssh_key: make an SSH key pair for the user if there is none.
    ssh_key_type: as ssh-keygen's -t.
    ssh_key_bits: as ssh-keygen's -b; 0 leaves it to ssh-keygen.
    ssh_key_file: the private key's path, from the home directory. Default: .ssh/id_TYPE.
    ssh_key_comment: default: "ansible-generated on" and the host's name.
    ssh_key_passphrase: default: none.
    """
    if local and not (umask is None and uid_min is None and uid_max is None):
        raise ModuleFailure("`local` cannot be combined with `umask`, `uid_min` or `uid_max`")
    now = change.state("user", name)
    is_new = not now["exists"] or (local and not now.get("local", True))
    if state == "absent":
        return {"name": name, "state": state} if is_new else _remove(change, name, now, force, remove)
    _warn(change, password, append, groups)
    wanted: State = {"uid": uid, "comment": comment, "home": home, "shell": shell, "local": local or None}
    if is_new and home is None:
        wanted["home"] = default_home(name)
    group_name, wanted["gid"] = _group(change, group) if group is not None else (None, None)
    if groups is not None:
        wanted["groups"] = _groups(change, name, now, groups, append, wanted["gid"])
    given = password if is_new or update_password == "always" else None
    wanted.update(wanted_password("!" if is_new else now.get("password") or "", given, password_lock))
    wanted.update(
        wanted_dates(
            min=password_expire_min, max=password_expire_max, warn=password_expire_warn,
            inactive=password_expire_account_disable, expire=None if expires is None else expires // DAY_S,
        )
    )  # fmt: skip
    how = {"system": system, "non_unique": non_unique, "uid_min": uid_min, "uid_max": uid_max, "seuser": seuser,
           "move_home": move_home and not is_new, "group": group_name}  # fmt: skip
    _make_so(change, name, now, is_new, {key: value for key, value in wanted.items() if value is not None}, how)
    now = change.state("user", name)
    if create_home:
        _give_home(change, now, skeleton, umask)
    result = {"name": name, "state": state, **_described(now, password, groups)}
    result.update({"system": system, "create_home": create_home} if is_new else
                  {"append": append, "move_home": move_home})  # fmt: skip
    if generate_ssh_key:
        from wxops.agent.accounts.ssh_key import give_key

        path = os.path.join(now["home"], ssh_key_file or ".ssh/id_" + ssh_key_type)
        result.update(
            give_key(
                change, path, _numbers(now), force, type=ssh_key_type, bits=ssh_key_bits,
                comment=ssh_key_comment or "ansible-generated on %s" % os.uname().nodename,
                passphrase=ssh_key_passphrase,
            )
        )  # fmt: skip
    return result


def _make_so(change: Change, name: str, now: State, is_new: bool, wanted: State, how: Dict[str, Any]) -> None:
    moves = how["move_home"] and wanted.get("home", now.get("home")) != now.get("home")
    old = change.file(now["home"], follow=True) if moves else {"type": "absent"}
    if old["type"] == "directory":
        make_parents(change, change.place(wanted["home"]))
    change.set("user", name, {"exists": True, HOW: how, **wanted})
    if old["type"] == "directory" and change.check:
        change.view.put("file", change.place(now["home"]), old, {"type": "absent"})
        change.view.put("file", change.place(wanted["home"]), {"type": "absent"}, old)
    if is_new and "gid" not in wanted:
        _foresee_group(change, name, exists=True)


def _remove(change: Change, name: str, now: State, force: bool, remove: bool) -> Dict[str, Any]:
    change.set("user", name, {"exists": False, HOW: {"force": force}})
    _foresee_group(change, name, exists=False)
    if remove:
        for path in (now["home"], os.path.join(MAIL, name)):
            found = change.file(path)
            if found["type"] in ("directory", "file") and (force or found["uid"] == _numbers(now)[0]):
                change.set("file", change.place(path), {"type": "absent"})
    return {"name": name, "state": "absent", "force": force, "remove": remove}


def _foresee_group(change: Change, name: str, exists: bool) -> None:
    """In check mode: the group of the user's name that useradd makes, and userdel removes, along with the user."""
    if (
        change.check
        and login_defs().get("USERGROUPS_ENAB") == "yes"
        and change.state("group", name)["exists"] != exists
    ):
        change.view.overlay["group", name] = {"exists": exists}


def _warn(change: Change, password: Optional[str], append: bool, groups: Optional[List[str]]) -> None:
    if password is not None and not looks_hashed(password):
        change.warnings.append("`password` does not look like a hash; it must be one, as crypt(5) makes it")
    if append and groups is None:
        change.warnings.append("`append` is set, but no `groups`")


def _group(change: Change, group: str) -> Tuple[str, int]:
    """A group that exists, or in check mode would by now, as name and number; -1 for a number not known yet."""
    try:
        found = grp.getgrgid(int(group))
        return found.gr_name, found.gr_gid
    except (KeyError, ValueError):
        state = change.state("group", group)
    if not state["exists"] and not (change.check and change.view.pending("package")):
        raise ModuleFailure("there is no group %r on this host; the module `group` makes one" % group)
    return group, state.get("gid", -1)


def _groups(
    change: Change, name: str, now: State, asked: List[str], append: bool, gid: Optional[int]
) -> List[str]:  # fmt: skip
    """The supplementary groups. The primary group is one already, unless the host lists it as both."""
    current = now.get("groups", [])
    found = [_group(change, group.strip()) for group in asked if group.strip()]
    primary = now.get("gid") if gid is None else gid
    own = name if primary is None else None  # useradd makes a group of the user's name
    names = {group for group, number in found if group in current or (number != primary and group != own)}
    return sorted(names | set(current if append else []))


def _give_home(change: Change, now: State, skeleton: Optional[str], umask: Optional[str]) -> None:
    if change.file(now["home"], follow=True)["type"] == "absent":
        make_home(change, now["home"], _numbers(now), skeleton, umask)


def _numbers(now: State) -> Tuple[int, int]:
    """uid and gid; -1 for those that a check cannot know yet."""
    return now.get("uid", -1), now.get("gid", -1)


def _described(now: State, password: Optional[str], groups: Optional[List[str]]) -> Dict[str, Any]:
    shown: Dict[str, Any] = {key: now[key] for key in ("uid", "comment", "home", "shell") if key in now}
    if "gid" in now:
        shown["group"] = now["gid"]
    if groups is not None:
        shown["groups"] = ",".join(groups)
    if password is not None:
        shown["password"] = "NOT_LOGGING_PASSWORD"
    return shown
