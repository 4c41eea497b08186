"""Home directories: made from the skeleton through the one door, moved, and given to a new number."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.moving import move_tree
from wxops.agent.place import beside

if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from wxops.agent.change import Change
    from wxops.agent.resources import State

    Numbers = Tuple[int, int]  # uid, gid

LOGIN_DEFS = "/etc/login.defs"
USERADD = "/etc/default/useradd"
SKELETON = "/etc/skel"


def default_home(name: str) -> str:
    """Where useradd(8) puts a new user's home directory."""
    try:
        with open(USERADD, encoding="utf-8", errors="replace") as file:
            found = re.search(r"^HOME=(\S+)", file.read(), re.MULTILINE)
    except FileNotFoundError:
        found = None
    return os.path.join(found.group(1) if found else "/home", name)


def make_home(change: Change, home: str, owner: Numbers, skeleton: Optional[str], umask: Optional[str]) -> None:
    """A home directory with a copy of the skeleton, as useradd(8) makes it."""
    place, numbers = change.place(home), {"uid": owner[0], "gid": owner[1]}
    make_parents(change, place)
    change.set("file", place, {"type": "directory", "mode": home_mode(umask), **numbers})
    source = os.path.abspath(skeleton or SKELETON)
    for folder, folders, files in os.walk(source):
        for name in sorted(folders + files):
            inside = os.path.join(folder, name)
            change.set("file", os.path.join(place, os.path.relpath(inside, source)), _copy_of(change, inside, numbers))


def make_parents(change: Change, place: str) -> None:
    """The directories above, root's, where they are missing."""
    missing, parent = [], os.path.dirname(place)
    while change.file(parent)["type"] == "absent":
        missing.append(parent)
        parent = os.path.dirname(parent)
    for folder in reversed(missing):
        change.set("file", folder, {"type": "directory", "mode": 0o755, "uid": 0, "gid": 0})


def home_mode(umask: Optional[str]) -> int:
    """HOME_MODE of login.defs, else 0777 less the umask that was given or is named there."""
    settings = login_defs()
    if "HOME_MODE" in settings:
        return int(settings["HOME_MODE"], 8)
    return 0o777 & ~int(umask or settings.get("UMASK", "022"), 8)


def login_defs() -> Dict[str, str]:
    try:
        with open(LOGIN_DEFS, encoding="utf-8", errors="replace") as file:
            return dict(re.findall(r"^\s*([A-Z_]+)\s+(\S+)", file.read(), re.MULTILINE))
    except FileNotFoundError:
        return {}


def _copy_of(change: Change, source: str, numbers: Dict[str, int]) -> State:
    found = change.file(source)
    state: State = {key: found[key] for key in ("type", "target") if key in found}
    if found["type"] != "link":
        state["mode"] = found["mode"]
    if found["type"] == "file":
        state["content"] = Content(found["content"].read())
    return dict(state, **numbers)


def move_home(old: str, new: str) -> None:
    """Move a home directory. Done before, or nothing to move: nothing happens."""
    shutil.rmtree(beside(new), ignore_errors=True)  # of a move that was killed
    if not os.path.isdir(old):
        return
    if os.path.lexists(new):
        raise ModuleFailure("%s is not moved to %s: that is there already" % (old, new))
    move_tree(old, new)


def give_files(home: str, old: Numbers, new: Numbers) -> None:
    """What the old number owns below a home directory, and that directory, belongs to the new one, as by usermod(8)."""
    for folder, folders, files in os.walk(home):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            owner = (new[0] if found.st_uid == old[0] else found.st_uid,
                     new[1] if found.st_gid == old[1] else found.st_gid)  # fmt: skip
            if owner != (found.st_uid, found.st_gid):
                mode = found.st_mode & 0o7777
                os.lchown(path, *owner)
                if mode & 0o6000 and not os.path.islink(path):
                    os.chmod(path, mode)  # the kernel took setuid away
