"""The lines that speak of one user, and how they are put back without disturbing what others changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.accounts.databases import Accounts

    Lines = Dict[str, Any]

OWN = ("passwd", "shadow", "subuid", "subgid")
OF_GROUPS = ("group", "gshadow")


def lines_of(accounts: Accounts, user: str) -> Lines:
    """The user's own lines with their places; those of the group of the same name, which useradd makes and userdel

    removes; and `members`: the members of each group that lists the user.
    """
    lines: Lines = {database: accounts.placed(database, user) for database in OWN + OF_GROUPS}
    lines["members"] = {
        database: {group: members for group, members in accounts.members(database).items() if user in members}
        for database in OF_GROUPS
    }
    return lines


def put_lines_back(accounts: Accounts, user: str, lines: Lines) -> None:
    for database in OWN:
        accounts.put_back(database, user, lines[database])
    for database in OF_GROUPS:
        _put_group_back(accounts, database, user, lines[database])
        _put_members_back(accounts, database, user, lines["members"][database])


def _put_group_back(accounts: Accounts, database: str, user: str, placed: List[List[Any]]) -> None:
    """The user's private group is there again, or gone again; one that was there all the time stays as it is."""
    if bool(placed) != bool(accounts.placed(database, user)):
        accounts.put_back(database, user, placed)


def _put_members_back(accounts: Accounts, database: str, user: str, before: Dict[str, List[str]]) -> None:
    for group, now in accounts.members(database).items():
        others = [member for member in now if member != user]
        if group not in before:
            wanted = others
        elif sorted(others) == sorted(member for member in before[group] if member != user):
            wanted = before[group]
        else:
            wanted = now if user in now else [*now, user]
        if wanted != now:
            accounts.set_members(database, group, wanted)
