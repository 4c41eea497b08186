"""What the host will refuse to do with a file, told before it is tried: so a check fails where the run would."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.resources import State


def refusal(name: str, before: State, after: State) -> Optional[str]:
    """Why the kernel would not let this user bring a path from one state to the other; None when it would."""
    replaced = _replaced(before, after)
    number = _by_the_file_system(name, replaced) or _by_ownership(replaced, before, after)
    return os.strerror(number) if number else None


def _by_the_file_system(name: str, replaced: bool) -> int:
    folder = os.path.dirname(name)
    if not os.path.isdir(folder):
        return 0  # the directory is one that only this check has
    here = folder if replaced or os.path.islink(name) or not os.path.lexists(name) else name
    if os.statvfs(here).f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.EACCES if replaced and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True) else 0


def _by_ownership(replaced: bool, before: State, after: State) -> int:
    """Only root gives files away; others change what is theirs, and give it to groups that they are in."""
    if os.geteuid() == 0:
        return 0
    changes = {key for key in ("mode", "uid", "gid") if key in after and after[key] != before.get(key)}
    owner = os.geteuid() if replaced else before["uid"]
    if not replaced and changes and owner != os.geteuid():
        return errno.EPERM
    groups = [os.getegid(), before.get("gid"), *os.getgroups()]
    if after.get("uid", owner) != owner or ("gid" in changes and after["gid"] not in groups):
        return errno.EPERM
    return 0


def _replaced(before: State, after: State) -> bool:
    """Is there to be another file under the name, or only other attributes?"""
    if before["type"] != after["type"] or before.get("target") != after.get("target"):
        return True
    return "content" in after and not after["content"].same(before["content"])
