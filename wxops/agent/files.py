"""How modules speak of files: paths, modes and owners as people write them, on top of the kind `file`."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.failure import LinkLoop, ModuleFailure
from wxops.agent.names import group_name, user_name

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Union

    from wxops.agent.change import View
    from wxops.agent.resources import State

    Mode = Union[int, str, None]

LINKS_FOLLOWED = 40  # as the kernel's own limit
CLAUSE = re.compile(r"^(?P<who>[ugoa]*)(?P<changes>([-+=]([ugo]|[rwxXst]*))+)$")


class Files:
    """Reading and writing files through `state` and `set`, which the class that uses this has."""

    check: bool
    view: View
    warnings: List[str]

    def state(self, kind: str, name: str) -> State:
        raise NotImplementedError

    def set(self, kind: str, name: str, wanted: State) -> bool:
        raise NotImplementedError

    def file(self, path: str, follow: bool = False) -> State:
        """The state of a path; of what a link points to when `follow`."""
        return self.state("file", self.real(path) if follow else self.place(path))

    def place(self, path: str) -> str:
        """The path with links in its directories resolved, but not in its last part."""
        folder, name = os.path.split(os.path.abspath(path))
        return os.path.join(self.real(folder), name) if name else folder

    def real(self, path: str) -> str:
        """The path with all links resolved, also those that check mode would have made."""
        path, followed, done = os.path.abspath(path), 0, "/"
        parts = path.split("/")[::-1]
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = os.path.dirname(done)
                continue
            here = os.path.join(done, part)
            target = self._link_target(here)
            if target is None:
                done = here
                continue
            followed += 1
            if followed > LINKS_FOLLOWED:
                raise LinkLoop("%s: too many links, or a loop of them" % path)
            if target.startswith("/"):
                done = "/"
            parts.extend(target.split("/")[::-1])
        return done

    def _link_target(self, path: str) -> Optional[str]:
        """Where a path points, if it is a link; without reading a file's content."""
        overlay = self.view.overlay
        if overlay:
            state = self.state("file", path)
            return state["target"] if state["type"] == "link" else None
        try:
            return os.readlink(path)
        except OSError:
            return None

    def read(self, path: str) -> Optional[bytes]:
        """A file's bytes, following links; None when there is none."""
        state = self.file(path, follow=True)
        if state["type"] == "directory":
            raise ModuleFailure("%s is a directory" % path)
        content: Optional[Content] = state.get("content")
        return content.read() if content is not None else None

    def write(self, path: str, content: Union[bytes, Content], mode: Mode = None, owner: Optional[str] = None,
              group: Optional[str] = None, follow: bool = True) -> bool:  # fmt: skip
        """Put bytes at a path; a new file gets 0666 less the umask when no mode is given, as Ansible's."""
        path = self.real(path) if follow else self.place(path)
        now = self.file(path)
        if now["type"] == "directory":
            raise ModuleFailure("%s is a directory; a file was to be written there" % path)
        self.parent_must_exist(path)
        wanted = content if isinstance(content, Content) else Content(content)
        state: State = {"type": "file", "content": wanted}
        if now["type"] != "file":
            state["mode"] = 0o666 & ~umask()
        state.update(self.attributes(now, mode, owner, group))
        return self.set("file", path, state)

    def new_directory(self, mode: Mode = None, owner: Optional[str] = None, group: Optional[str] = None) -> State:
        """The state of a directory that is about to be made: 0777 less the umask when no mode is given."""
        fresh: State = {"type": "directory", "mode": 0o777 & ~umask()}
        fresh.update(self.attributes({"type": "directory"}, mode, owner, group))
        return fresh

    def expand(self, text: str) -> str:
        """`~` and $VARIABLES as the host's user has them."""
        return os.path.expanduser(os.path.expandvars(text))

    def describe(self, path: str) -> Dict[str, Any]:
        """What modules return of a path: state, owner, group, uid, gid, mode, size."""
        state = self.file(path)
        if state["type"] == "absent":
            return {"path": path, "state": "absent"}
        described = {"path": path, "state": state["type"], "uid": state["uid"], "gid": state["gid"],
                     "owner": user_name(state["uid"]), "group": group_name(state["gid"]),
                     "mode": "0%03o" % state["mode"]}  # fmt: skip
        if "content" in state:
            described["size"] = state["content"].size
        return described

    def attributes(self, now: State, mode: Mode, owner: Optional[str], group: Optional[str]) -> Dict[str, int]:
        """Mode, uid and gid as numbers, those that were asked for."""
        wanted: Dict[str, int] = {}
        if mode is not None:
            fresh = 0o777 & ~umask() if now["type"] == "directory" else 0o666 & ~umask()
            wanted["mode"] = parse_mode(mode, now.get("mode", fresh), now["type"] == "directory")
        if owner is not None:
            wanted["uid"] = self.uid(owner)
        if group is not None:
            wanted["gid"] = self.gid(group)
        return wanted

    def uid(self, owner: str) -> int:
        """A user's number; in check mode also of one that would have been made by now (then -1)."""
        return self._number(str(owner), "user", lambda name: pwd.getpwnam(name).pw_uid)

    def gid(self, group: str) -> int:
        return self._number(str(group), "group", lambda name: grp.getgrnam(name).gr_gid)

    def _number(self, name: str, kind: str, look_up: Any) -> int:
        try:
            return int(look_up(name))
        except KeyError:
            pass
        if name.isdigit():
            return int(name)
        if self.check and ((kind, name) in self.view.overlay or self.view.pending("package")):
            return -1  # an earlier task would have made it, or a package that one would have installed
        raise ModuleFailure("there is no %s %r on this host" % (kind, name))

    def may_come_with_a_package(self, path: str) -> bool:
        """In a check: is nothing there, and would an earlier task install a package that may bring it?"""
        pending = self.check and bool(self.view.pending("package"))
        return pending and bool(self.file(path, follow=True)["type"] == "absent")

    def untold(self, path: str) -> Dict[str, Any]:
        """The result of a check where a file that is to be edited may come with a package: it would be changed."""
        said = (
            "%s comes with a package that is to be installed: what would be changed in it cannot be told before" % path
        )
        self.warnings.append(said)
        return {"changed": True, "msg": said}

    def parent_must_exist(self, path: str) -> None:
        parent = os.path.dirname(path)
        found = self.file(parent, follow=True)["type"]
        if found != "directory" and not self.may_come_with_a_package(parent):
            raise ModuleFailure(
                "the directory %s %s" % (parent, "does not exist" if found == "absent" else "is a " + found)
            )


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def parse_mode(mode: Mode, now: int, directory: bool) -> int:
    """A mode as a number: 420, "0644", "u=rw,go=r" or "g+w" (on top of `now`)."""
    if isinstance(mode, int):
        return mode
    text = str(mode).strip()
    if re.match(r"^[0-7]{1,5}$", text):
        return int(text, 8)
    for clause in text.split(","):
        match = CLAUSE.match(clause)
        if match is None:
            raise ModuleFailure("mode %r is neither octal (0644) nor symbolic (u=rw,go=r)" % text)
        for operator, what in re.findall(r"([-+=])([ugo]|[rwxXst]*)", match.group("changes")):
            now = _apply(now, match.group("who"), operator, what, directory)
    return now


def _apply(mode: int, who: str, operator: str, what: str, directory: bool) -> int:
    """One change of a symbolic mode."""
    classes = "ugo" if not who or "a" in who else who
    bits = 0
    for shift, name in ((6, "u"), (3, "g"), (0, "o")):
        if name in classes:
            bits |= _permission(mode, what, directory) << shift
    if not who:
        bits &= ~umask()
    if "s" in what:
        bits |= (stat.S_ISUID if "u" in classes else 0) | (stat.S_ISGID if "g" in classes else 0)
    if "t" in what:
        bits |= stat.S_ISVTX
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    cleared = sum({"u": 0o4700, "g": 0o2070, "o": 0o1007}[name] for name in classes)
    return (mode & ~cleared) | bits


def _permission(mode: int, what: str, directory: bool) -> int:
    """The three permission bits that `what` stands for."""
    if what in ("u", "g", "o"):
        return mode >> {"u": 6, "g": 3, "o": 0}[what] & 7
    bits = sum({"r": 4, "w": 2, "x": 1}[letter] for letter in set(what) & set("rwx"))
    if "X" in what and (directory or mode & 0o111):
        bits |= 1
    return bits
