"""What packages leave on a host beyond their own files, so that it can come back, or go: configuration files,

the accounts that their scripts make, the links and states of their services.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

from wxops.agent import systemctl
from wxops.agent.accounts.databases import DATABASES, Accounts
from wxops.agent.accounts.home import login_defs
from wxops.agent.content import Content
from wxops.agent.debian import dpkg
from wxops.agent.resources import file as files
from wxops.agent.resources import group as groups
from wxops.agent.resources import user as users

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

    Saved = Dict[str, Any]

# What dpkg and ucf put beside a configuration file that they keep or replace.
BESIDE = (".dpkg-dist", ".dpkg-old", ".dpkg-new", ".ucf-dist", ".ucf-old", ".ucf-new")
UNIT_FOLDERS = ("/lib/systemd/system/", "/usr/lib/systemd/system/", "/etc/systemd/system/")


def configuration(names: List[str]) -> Saved:
    """Path -> its content and attributes, or None where there is no such file; what lies beside them is named too."""
    return {path: kept_file(path) for name in dpkg.conffiles(names) for path in [name, *(name + end for end in BESIDE)]}


def put_configuration_back(saved: Saved, left_alone: Set[str]) -> None:
    """left_alone: what somebody has edited since."""
    for path, state in saved.items():
        now = files.KIND.read(path, None)  # type: ignore[arg-type]  # reading a file asks no other state
        if path in left_alone:
            continue
        if state is None:
            if now["type"] == "file":
                files.KIND.write(path, files.ABSENT)
        elif os.path.isdir(os.path.dirname(path)):
            wanted = dict(state, type="file", content=Content(base64.b64decode(state["base64"])))
            del wanted["base64"]
            if not files.KIND.same(now, wanted):
                files.KIND.write(path, wanted)


def edited_since(record: str) -> Set[str]:
    """The configuration files that are not as the transaction left them."""
    left = (_recorded(record) or {}).get("configuration", {})
    return {path for path, digest in left.items() if _digest(path) != digest}


def _digest(path: str) -> Optional[str]:
    try:
        return Content.of_file(path).sha256
    except OSError:
        return None


def kept_file(path: str) -> Optional[Saved]:
    """A file as the journal keeps it; None when there is none."""
    state = files.KIND.read(path, None)  # type: ignore[arg-type]
    if state["type"] != "file":
        return None
    saved = {key: state[key] for key in ("mode", "uid", "gid", "mtime_ns")}
    return dict(saved, base64=base64.b64encode(state["content"].read()).decode())


def accounts() -> Saved:
    """Every line of the account databases: maintainer scripts may make accounts, and remove them."""
    now = Accounts()
    return {database: list(now.lines(database)) for database in DATABASES}


def write_record(path: str, accounts_before: Saved, configuration: Iterable[str]) -> None:
    """What a transaction left: the accounts that it made (later ones are other people's) and the configuration."""
    left = dict(_new_accounts(accounts_before), configuration={path: _digest(path) for path in configuration})
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(left, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def put_accounts_back(saved: Saved) -> None:
    """Accounts that were removed come back, before the packages do, so that files find their owners."""
    now = Accounts()
    for name in _names(saved["passwd"]):
        if now.fields("passwd", name) is None:
            users.KIND.write(name, {"exists": True, "lines": _lines_of(saved, name), **_numbers(saved, name)})
    for name in _names(saved["group"]):
        if now.fields("group", name) is None:
            lines = {database: _placed(saved, database, name) for database in groups.DATABASES}
            groups.KIND.write(name, {"exists": True, "lines": lines})


def remove_new_accounts(saved: Saved, record: str) -> None:
    made = _made(saved, record)
    for name in made["passwd"]:
        none: Saved = {database: [] for database in DATABASES}
        users.KIND.write(name, {"exists": False, "lines": dict(none, members={"group": {}, "gshadow": {}})})
    for name in made["group"]:
        groups.KIND.write(name, {"exists": False, "lines": {database: [] for database in groups.DATABASES}})


def units(names: Iterable[str]) -> Saved:
    """The services that these packages bring: which run, and the links that enable them."""
    return units_among(path for name in names for path in dpkg.files_of(name))


def units_among(paths: Iterable[str]) -> Saved:
    """The same, of the units that are among these files."""
    found = sorted({os.path.basename(path) for path in paths
                    if path.startswith(UNIT_FOLDERS) and "." in os.path.basename(path)})  # fmt: skip
    found = [unit for unit in found if unit.endswith((".service", ".socket", ".timer", ".path"))]
    if not found or not os.path.isdir("/run/systemd/system"):
        return {"units": [], "active": [], "links": {}, "folders": []}
    said = systemctl.systemctl("system", "is-active", "--", *found).stdout.split()
    active = [unit for unit, state in zip(found, said) if state in ("active", "activating")]
    links = systemctl.links("system", set(found))
    return {"units": found, "active": active, "links": links, "folders": systemctl.link_folders("system")}


def put_units_back(saved: Saved) -> None:
    """Enabled as they were; those that ran run again, with the files that are back."""
    if not saved["units"] or not os.path.isdir("/run/systemd/system"):
        return
    systemctl.put_links_back("system", set(saved["units"]), saved["links"], saved["folders"])
    for unit in saved["active"]:
        systemctl.systemctl("system", "restart", "--", unit)  # one that does not start any more fails no rollback


def is_back(saved: Saved, record: str) -> bool:
    """Is all of it as it was?"""
    edited = edited_since(record)
    now = Accounts()
    links = systemctl.links("system", set(saved["units"]["units"])) if saved["units"]["units"] else {}
    return (
        all(path in edited or _same_file(kept_file(path), state) for path, state in saved["configuration"].items())
        and all(
            now.fields(database, name)
            for database in ("passwd", "group")
            for name in _names(saved["accounts"][database])
        )
        and not any(
            now.fields(database, name) for database, names in _made(saved["accounts"], record).items() for name in names
        )
        and links == saved["units"]["links"]
    )


def _same_file(now: Optional[Saved], wanted: Optional[Saved]) -> bool:
    keys = ("base64", "mode", "uid", "gid")
    return all((now or {}).get(key) == (wanted or {}).get(key) for key in keys)


def _made(saved: Saved, record: str) -> Dict[str, List[str]]:
    """The accounts that the transaction made. If it was cut short before it could say which: the system's new ones."""
    recorded = _recorded(record)
    if recorded is not None:
        return {database: recorded[database] for database in ("passwd", "group")}
    least = int(login_defs().get("UID_MIN", "1000"))
    now = Accounts()
    return {
        database: [name for name in names if int((now.fields(database, name) or ["", "", "0"])[2]) < least]
        for database, names in _new_accounts(saved).items()
    }


def _new_accounts(before: Saved) -> Dict[str, List[str]]:
    now = Accounts()
    return {database: [name for name in _names(now.lines(database)) if name not in set(_names(before[database]))]
            for database in ("passwd", "group")}  # fmt: skip


def _recorded(path: str) -> Optional[Saved]:
    try:
        with open(path, encoding="utf-8") as file:
            found: Saved = json.load(file)
            return found
    except FileNotFoundError:
        return None


def _names(lines: List[str]) -> List[str]:
    return [line.partition(":")[0] for line in lines if line]


def _placed(saved: Saved, database: str, name: str) -> List[List[Any]]:
    return [[index, line] for index, line in enumerate(saved[database]) if line.startswith(name + ":")]


def _lines_of(saved: Saved, name: str) -> Saved:
    lines: Saved = {database: _placed(saved, database, name) for database in DATABASES}
    lines["members"] = {
        database: {group: members for group, members in map(_members, saved[database]) if name in members}
        for database in ("group", "gshadow")
    }
    return lines


def _members(line: str) -> Tuple[str, List[str]]:
    fields = line.split(":")
    return fields[0], fields[3].split(",") if len(fields) > 3 else []


def _numbers(saved: Saved, name: str) -> Dict[str, Any]:
    fields = next(line.split(":") for line in saved["passwd"] if line.startswith(name + ":"))
    return {"uid": int(fields[2]), "gid": int(fields[3]), "home": fields[5]}
