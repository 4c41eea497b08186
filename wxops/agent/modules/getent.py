"""What the host's name services know: accounts, groups, hosts, services. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change

    Found = Dict[str, Any]

WITH_COLONS = ("passwd", "shadow", "group", "gshadow")
NOT_FOUND = 2
WHY = {
    1: "Missing arguments, or database unknown.",
    NOT_FOUND: "One or more supplied key could not be found in the database.",
    3: "Enumeration not supported on this database.",
}
KINDS = {"passwd": "user", "group": "group"}
FIELDS = {"passwd": ("uid", "gid", "comment", "home", "shell"), "group": ("gid", "members")}


def getent(
    change: Change,
    database: str,
    key: Optional[str] = None,
    service: Optional[str] = None,
    split: Optional[str] = None,
    fail_key: bool = True,
) -> Dict[str, Any]:
    """Ask a database of the host's (passwd, group, hosts, ...); the answer is the fact getent_DATABASE.

    It maps each key to the other fields of its record, and to a list of those where a key has several records.

    database: as getent(1) knows it.
    key: the record to look for; by default all.
    service: ask this source alone: files, ldap, ...
    split: what separates fields; by default `:` for accounts and groups, and blanks elsewhere.
    fail_key: fail when there is no such record; without it the fact says so with an empty value.
    """
    if key is not None and (KINDS.get(database), key) in change.view.overlay:
        return _foreseen(change, database, key, fail_key)
    options = [] if service is None else ["-s", service]
    done = run(["getent", database, *([] if key is None else [key]), *options])
    fact = "getent_" + database
    if done.rc == 0:
        separator = split if split is not None or database not in WITH_COLONS else ":"
        return {"ansible_facts": {fact: _records(done.stdout, separator)}}
    why = WHY.get(done.rc, "Unexpected failure!")
    if done.rc == NOT_FOUND and not fail_key:
        return {"ansible_facts": {fact: {key: None}}, "msg": why}
    raise ModuleFailure(why)


def _foreseen(change: Change, database: str, key: str, fail_key: bool) -> Dict[str, Any]:
    """What an earlier task of this check would have made of an account; a number that it would get is not known."""
    state = change.state("user", key) if database == "passwd" else change.state("group", key)
    fact = "getent_" + database
    if state["exists"]:
        fields = [str(state[name]) if state.get(name) is not None else "" for name in FIELDS[database]]
        return {"ansible_facts": {fact: {key: ["x", *fields]}}}
    if not fail_key:
        return {"ansible_facts": {fact: {key: None}}, "msg": WHY[NOT_FOUND]}
    raise ModuleFailure(WHY[NOT_FOUND])


def _records(text: str, separator: Optional[str]) -> Found:
    found: Dict[str, List[List[str]]] = {}
    for line in text.splitlines():
        name, *fields = line.split(separator) or [""]
        found.setdefault(name, []).append(fields)
    return {name: records if len(records) > 1 else records[0] for name, records in found.items()}
