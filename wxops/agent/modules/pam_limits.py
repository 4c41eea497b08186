"""Limits of users' sessions, in limits.conf(5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.backup import back_up
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

UNLIMITED = ("unlimited", "infinity", "-1")
NICE = range(-20, 20)


def pam_limits(
    change: Change,
    domain: str,
    limit_type: Literal["hard", "soft", "-"],
    limit_item: Literal[
        "core", "data", "fsize", "memlock", "nofile", "rss", "stack", "cpu", "nproc", "as", "maxlogins",
        "maxsyslogins", "priority", "locks", "sigpending", "msgqueue", "nice", "rtprio", "chroot"
    ],
    value: str,
    use_min: bool = False,
    use_max: bool = False,
    comment: str = "",
    dest: Path = "/etc/security/limits.conf",
    backup: bool = False,
) -> Dict[str, Any]:  # fmt: skip
    """Set a limit of the sessions that PAM opens.

    domain: a user, @GROUP, `*`, or a range of numbers.
    limit_type: hard, soft, or `-` for both.
    limit_item: what is limited.
    value: the limit; unlimited, infinity and -1 all mean none.
    use_min: a lower limit that is there stays.
    use_max: a higher limit that is there stays.
    comment: written behind the limit.
    dest: the file.
    backup: keep a copy of the file as it was, beside it; its path is returned as `backup_file`.
    """
    if use_min and use_max:
        raise ModuleFailure("Cannot use use_min and use_max at the same time.")
    _must_be_valid(limit_item, value, "")
    text = (change.read(dest) or b"").decode("utf-8", "surrogateescape")
    lines, message = _with(text.splitlines(True), [domain, limit_type, limit_item], value, comment,
                           max if use_max else min if use_min else None, dest)  # fmt: skip
    result: Dict[str, Any] = {"msg": message}
    if "".join(lines) != text:
        copy = back_up(change, dest) if backup else None
        if copy is not None:
            result["backup_file"] = copy
        change.write(dest, "".join(lines).encode("utf-8", "surrogateescape"))
    return result


def _with(lines: List[str], limit: List[str], value: str, comment: str, choose: Any, dest: str) -> Any:
    """The lines with the limit set, and its line as it stands there."""
    after, message = [], None
    for line in lines:
        fields = line.split("#")[0].split()
        if len(fields) == 4:
            _must_be_valid(fields[2], fields[3], "Invalid configuration found in '%s'. " % dest)
        if fields[:3] == limit and len(fields) == 4:
            own_comment = comment or line.partition("#")[2].strip("\n")
            chosen = _chosen(choose, value, fields[3], limit[2])
            line = line if chosen == fields[3] else _line(limit, chosen, own_comment)
            message = line
        after.append(line)
    if message is None:
        message = _line(limit, value, comment)
        if after and not after[-1].endswith("\n"):
            after[-1] += "\n"
        after.append(message)
    return after, message


def _line(limit: List[str], value: str, comment: str) -> str:
    return "\t".join([*limit, value, *(["#" + comment] if comment else [])]) + "\n"


def _chosen(choose: Any, value: str, there: str, item: str) -> str:
    """What is asked for, or with use_min or use_max what is lower or higher."""
    if choose is None or value == there:
        return value

    def size(limit: str) -> float:
        return float("inf") if limit in UNLIMITED and item not in ("nice", "priority") else float(limit)

    return there if size(there) == size(value) else str(choose(there, value, key=size))


def _must_be_valid(item: str, value: str, where: str) -> None:
    if item in ("nice", "priority"):
        valid = bool(re.match(r"^[-+]?\d+$", value)) and int(value) in NICE
        what = "a number in the range -20 to 19 inclusive"
    else:
        valid = value in UNLIMITED or value.isdigit()
        what = "'unlimited', 'infinity' or -1, all of which indicate no limit, or a limit of 0 or larger"
    if not valid:
        raise ModuleFailure("%sValue of %r for item %r is invalid. Value must be %s" % (where, value, item, what))
