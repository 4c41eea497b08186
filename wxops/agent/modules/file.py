"""Files, directories and links: that they exist or not, their mode and owner, their times."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes, describe
from wxops.agent.failure import LinkLoop, ModuleFailure
from wxops.agent.tree import names_in

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional, Set

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"dest": "path", "name": "path", "attr": "attributes"}


def file(
    change: Change,
    path: Path,
    state: Optional[Literal["absent", "directory", "file", "hard", "link", "touch"]] = None,
    src: Optional[Path] = None,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    recurse: bool = False,
    follow: bool = True,
    force: bool = False,
    access_time: Optional[str] = None,
    access_time_format: str = "%Y%m%d%H%M.%S",
    modification_time: Optional[str] = None,
    modification_time_format: str = "%Y%m%d%H%M.%S",
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
    _diff_peek: Optional[bool] = None,
) -> Dict[str, Any]:
    """Set the state, mode and owner of a file, directory or link.

    path: what to set.
    state: absent removes it with all it holds; directory makes it and its parents; file only sets attributes of what
        exists; link and hard make a link to src; touch makes an empty file or updates its times. Default: what is
        there now, else directory when recurse is set, else file.
    src: what a link points to. A relative one counts from the link's directory.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    recurse: set mode and owner on all that a directory holds.
    follow: act on what a link points to.
    force: make a link over an existing file or empty directory, and one whose target does not exist.
    access_time: "preserve", "now" or a moment in access_time_format. Default: now for touch, else preserve.
    access_time_format: as strptime(3) takes it.
    modification_time: "preserve", "now" or a moment in modification_time_format. Default: now for touch, else preserve.
    modification_time_format: as strptime(3) takes it.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label; where SELinux is off, the four of them are passed over.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if _diff_peek is not None:  # what copy asks before it shows a difference; some roles ask, too
        return {"path": path, "appears_binary": _appears_binary(change, path), "changed": False}
    if not path:
        raise ModuleFailure("path is empty, which would be the directory that the agent happens to be in", path=path)
    if src is not None and state not in ("link", "absent") and change.file(path, follow=True)["type"] == "directory":
        path = os.path.join(path, os.path.basename(src))
    wanted = state or _state_now(change, path) or ("directory" if recurse else "file")
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    times = Times(wanted, access_time, access_time_format, modification_time, modification_time_format)
    if recurse and wanted != "directory":
        raise ModuleFailure("recurse option requires state to be 'directory'", path=path)
    if src is not None and wanted not in ("link", "hard"):
        raise ModuleFailure("src option requires state to be 'link' or 'hard', not %r" % wanted, path=path)
    if wanted == "absent":
        return _absent(change, path)
    if wanted == "link":
        return _link(change, path, src, force, follow, asked, times)
    if wanted == "hard":
        return _hard_link(change, path, src, force, follow, asked, times)
    if wanted == "touch":
        return _touch(change, path, follow, asked, times)
    real = change.real(path) if follow else change.place(path)
    if wanted == "directory":
        _directory(change, real, asked, times)
        if recurse:
            _recurse(change, real, follow, asked, times, set())
    elif change.may_come_with_a_package(real):
        return change.untold(real)
    else:
        _existing(change, real, asked, times)
    return dict(describe(change, real), path=real if follow and change.file(path)["type"] == "link" else path)


class Times:
    """What a task asks of a file's times; None preserves one."""

    def __init__(self, state: str, access: Optional[str], access_format: str, modified: Optional[str],
                 modified_format: str) -> None:  # fmt: skip
        default = "now" if state == "touch" else "preserve"
        self.asked = access is not None or modified is not None
        now = time.time_ns()
        self.access = _moment(access or default, access_format, now)
        self.modified = _moment(modified or default, modified_format, now)

    def set(self, change: Change, path: str) -> None:
        """Set them on what a path leads to."""
        wanted = {"atime_ns": self.access, "mtime_ns": self.modified}
        wanted = {name: moment for name, moment in wanted.items() if moment is not None}
        if wanted:
            change.set("times", change.real(path), wanted)


def _moment(text: str, form: str, now: int) -> Optional[int]:
    if text in ("preserve", "now"):
        return now if text == "now" else None
    try:
        return int(time.mktime(time.strptime(text, form))) * 10**9
    except (ValueError, OverflowError) as error:
        raise ModuleFailure("%r is not a time in the format %s: %s" % (text, form, error)) from None


def _state_now(change: Change, path: str) -> Optional[str]:
    """As Ansible names it: link, directory, hard or file."""
    state = describe(change, path)["state"]
    return None if state == "absent" else state if state in ("link", "directory", "hard") else "file"


def _absent(change: Change, path: str) -> Dict[str, Any]:
    place = change.place(path)
    if place == "/":
        raise ModuleFailure("the root directory cannot be removed", path=path)
    change.set("file", place, {"type": "absent"})
    return {"path": path, "state": "absent"}


def _directory(change: Change, path: str, asked: Attributes, times: Times) -> None:
    """The directory and its missing parents; all those made here get the attributes, as Ansible's do."""
    missing = []
    parent = path
    while change.file(parent)["type"] == "absent":
        missing.append(parent)
        parent = os.path.dirname(parent)
    found = change.file(parent)["type"]
    if found != "directory":
        raise ModuleFailure("%s already exists as a %s" % (parent, found), path=path)
    for folder in reversed(missing):
        change.set("file", folder, change.new_directory(asked.mode, asked.owner, asked.group))
        asked.set_label_and_flags(change, folder)
    if not missing:
        asked.set(change, path)
    times.set(change, path)


def _recurse(change: Change, path: str, follow: bool, asked: Attributes, times: Times, seen: Set[str]) -> None:
    """All below a directory, also through links when `follow`, each directory once."""
    if path in seen:
        return
    seen.add(path)
    for name in names_in(change, path):
        inside = os.path.join(path, name)
        kind = change.file(inside)["type"]
        asked.set(change, inside)
        if kind != "link":
            times.set(change, inside)
        elif follow and change.file(inside, follow=True)["type"] != "absent":
            inside = change.real(inside)
            kind = change.file(inside)["type"]
            asked.set(change, inside)
            times.set(change, inside)
        if kind == "directory":
            _recurse(change, inside, follow, asked, times, seen)


def _existing(change: Change, path: str, asked: Attributes, times: Times) -> None:
    found = change.file(path)["type"]
    if found != "file":
        fix = ": touch, copy or directory would make it" if found == "absent" else ""
        raise ModuleFailure("file (%s) is %s, cannot continue%s" % (path, found, fix), path=path, state=found)
    asked.set(change, path)
    times.set(change, path)


def _touch(change: Change, path: str, follow: bool, asked: Attributes, times: Times) -> Dict[str, Any]:
    real = change.real(path) if follow else change.place(path)
    if change.file(path)["type"] == "absent":
        change.write(real, b"", asked.mode, asked.owner, asked.group)
        asked.set_label_and_flags(change, real)
        if times.asked:
            times.set(change, real)
    else:
        asked.set(change, real)
        times.set(change, real)
    return dict(describe(change, path), dest=path)


def _link(change: Change, path: str, src: Optional[str], force: bool, follow: bool, asked: Attributes,
          times: Times) -> Dict[str, Any]:  # fmt: skip
    place = change.place(path)
    now = change.file(place)
    if src is None and now["type"] != "link":
        raise ModuleFailure("src is required for creating new symlinks: it says what the link points to", path=path)
    if src is None:
        src = now["target"]
    else:
        _may_become_link(change, place, src, now["type"], force)
        change.set("file", place, {"type": "link", "target": src})
    if not follow:
        asked.set(change, place)
    elif _leads_somewhere(change, place):
        asked.set(change, change.real(place))
        times.set(change, place)
    elif asked.any():
        change.warnings.append(
            "%s does not exist, so no mode or owner was set; with follow: false the link's own are" % src
        )
    return dict(describe(change, place), dest=path, src=src)


def _leads_somewhere(change: Change, path: str) -> bool:
    """Not a link whose target is missing, and not one to itself."""
    try:
        return bool(change.file(path, follow=True)["type"] != "absent")
    except LinkLoop:
        return False


def _may_become_link(change: Change, place: str, src: str, now: str, force: bool) -> None:
    base = place if now == "directory" else os.path.dirname(place)
    target = os.path.join(base, src)
    missing = not _leads_somewhere(change, target) and not change.may_come_with_a_package(target)
    if missing and not force:
        raise ModuleFailure(
            "src file does not exist; `force: true` makes the link all the same: %s" % src, path=place, src=src
        )
    if now in ("absent", "link"):
        return
    if not force:
        raise ModuleFailure(
            "refusing to convert from %s to symlink for %s without `force: true`" % (now, place), path=place
        )
    if now == "directory" and names_in(change, place):
        raise ModuleFailure("the directory %s is not empty, refusing to convert it" % place, path=place)


def _hard_link(change: Change, path: str, src: Optional[str], force: bool, follow: bool, asked: Attributes,
               times: Times) -> Dict[str, Any]:  # fmt: skip
    place = change.place(path)
    now = describe(change, place)["state"]
    if src is None and now != "hard":
        raise ModuleFailure("src is required for creating new hardlinks", dest=path)
    if src is not None:
        source = change.real(src)
        if change.file(source)["type"] == "absent":
            raise ModuleFailure("src does not exist", dest=path, src=src)
        if not _same_file(change, place, source):
            if now == "directory" or (now not in ("absent", "link") and not force):
                raise ModuleFailure("Cannot link, %s exists at destination" % now, dest=path, src=src)
            change.set("file", place, {"type": "hard", "target": source})
    asked.set(change, place)
    times.set(change, place)
    return dict(describe(change, place), dest=path, src=src)


def _same_file(change: Change, path: str, other: str) -> bool:
    """Two names of one file? In check mode also when the name would have been made by now."""
    pending = change.view.overlay.get(("file", path))
    if pending is not None:
        return bool(pending["type"] == "hard" and pending["target"] == other)
    return os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(other))


def _appears_binary(change: Change, path: str) -> bool:
    state = change.file(path, follow=True)
    return state["type"] == "file" and b"\x00" in state["content"].read()[:8192]
