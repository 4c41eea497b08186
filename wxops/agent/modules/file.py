"""Files, directories and links: that they exist or not, and their mode and owner."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"dest": "path", "name": "path"}


def file(
    change: Change,
    path: Path,
    state: Optional[Literal["absent", "directory", "file", "hard", "link", "touch"]] = None,
    src: Optional[str] = None,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    recurse: bool = False,
    follow: bool = True,
    force: bool = False,
    access_time: Optional[str] = None,
    modification_time: Optional[str] = None,
) -> Dict[str, Any]:
    """Set the state, mode and owner of a file, directory or link.

    path: what to set.
    state: absent removes it with all it holds; directory makes it and its parents; file only sets attributes of what
        exists; link and hard make a link to src; touch makes an empty file or updates its times. Default: file, or
        directory when recurse is set.
    src: what a link points to.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    recurse: set mode and owner on all that a directory holds.
    follow: act on what a link points to.
    force: make a link over an existing file, and one whose target does not exist.
    access_time: for touch: "preserve" or "now" (the default).
    modification_time: for touch: "preserve" or "now" (the default).
    """
    wanted = state or ("directory" if recurse else "file")
    attributes = {"mode": mode, "owner": owner, "group": group}
    if wanted == "absent":
        return _absent(change, path)
    if wanted in ("link", "hard"):
        return _link(change, path, wanted, src, force, follow, attributes)
    real = change.real(path) if follow else change.place(path)
    if wanted == "directory":
        _directory(change, real, attributes)
        if recurse:
            _recurse(change, real, attributes)
    elif wanted == "touch":
        _touch(change, real, attributes, access_time, modification_time)
    else:
        _existing(change, real, path, attributes)
    return change.describe(real)


def _absent(change: Change, path: str) -> Dict[str, Any]:
    change.set("file", change.place(path), {"type": "absent"})
    return {"path": path, "state": "absent"}


def _directory(change: Change, path: str, attributes: Dict[str, Any]) -> None:
    """The directory and its missing parents; all those made here get the attributes, as Ansible's do."""
    missing = []
    parent = path
    while change.file(parent)["type"] == "absent" and parent != "/":
        missing.append(parent)
        parent = os.path.dirname(parent)
    found = change.file(parent, follow=True)["type"]
    if found != "directory":
        raise ModuleFailure("%s is a %s, not a directory" % (parent, found), path=path)
    for folder in reversed(missing):
        change.set("file", folder, change.new_directory(**attributes))
    if not missing:
        _set_attributes(change, path, attributes)


def _set_attributes(change: Change, path: str, attributes: Dict[str, Any]) -> None:
    now = change.file(path)
    change.set("file", path, dict(change.attributes(now, **attributes), type=now["type"]))


def _recurse(change: Change, path: str, attributes: Dict[str, Any]) -> None:
    for folder, folders, files in os.walk(path):
        for name in sorted(folders + files):
            inside = os.path.join(folder, name)
            if not os.path.islink(inside):
                _set_attributes(change, inside, attributes)


def _existing(change: Change, real: str, path: str, attributes: Dict[str, Any]) -> None:
    if change.file(real)["type"] == "absent":
        raise ModuleFailure(
            "%s does not exist; `state: touch` or `directory`, or copy, would make it" % path, path=path
        )
    _set_attributes(change, real, attributes)


def _touch(
    change: Change, path: str, attributes: Dict[str, Any], access: Optional[str], modified: Optional[str]
) -> None:
    now = change.file(path)
    if now["type"] == "absent":
        change.write(path, b"", **attributes)
        return
    state = dict(change.attributes(now, **attributes), type=now["type"])
    if "preserve" not in (access, modified) and now["type"] == "file":
        state["mtime_ns"] = time.time_ns()
    change.set("file", path, state)


def _link(
    change: Change, path: str, kind: str, src: Optional[str], force: bool, follow: bool, attributes: Dict[str, Any]
) -> Dict[str, Any]:
    place = change.place(path)
    now = change.file(place)
    if src is None:
        if now["type"] != "link":
            raise ModuleFailure("a new link needs `src`, what it points to", path=path)
        src = now["target"]
    if kind == "hard":
        _hard_link(change, place, src, now, force)
        return dict(change.describe(place), src=src)
    target = os.path.join(os.path.dirname(place), src)
    if not force and change.file(target, follow=True)["type"] == "absent":
        raise ModuleFailure(
            "%s, what the link should point to, does not exist; `force: true` links all the same" % src, path=path
        )
    if now["type"] not in ("absent", "link") and not (force or (now["type"] == "directory" and not os.listdir(place))):
        raise ModuleFailure("%s is a %s already; `force: true` replaces it" % (path, now["type"]), path=path)
    change.set(
        "file",
        place,
        {"type": "link", "target": src, **change.attributes(now, None, attributes["owner"], attributes["group"])},
    )
    return dict(change.describe(place), src=src)


def _hard_link(change: Change, place: str, src: str, now: Dict[str, Any], force: bool) -> None:
    source = change.real(src)
    if change.file(source)["type"] != "file":
        raise ModuleFailure("%s, what the link should be another name of, is not a file" % src, path=place)
    if now["type"] != "absent":
        if os.path.exists(place) and os.path.exists(source) and os.path.samefile(place, source):
            return
        if not force:
            raise ModuleFailure("%s exists already; `force: true` replaces it" % place, path=place)
    change.set("file", place, {"type": "hard", "target": source})
