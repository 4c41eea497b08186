"""What an archive holds, and whether it may be unpacked: no member may lead out of its directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import BinaryIO, Dict, Iterable, Iterator, List, Optional, Tuple

    Opened = Iterator[Tuple["Member", Optional[BinaryIO]]]


class Member:
    """One entry. `kind` is file, directory, link, hard or other; `target` of a link is what it points to.

    uid and gid are None where the archive does not say.
    """

    def __init__(self, name: str, kind: str, mode: int, mtime_ns: int, size: int = 0, target: str = "",
                 uid: Optional[int] = None, gid: Optional[int] = None) -> None:  # fmt: skip
        self.name, self.kind, self.mode, self.mtime_ns = name, kind, mode, mtime_ns
        self.size, self.target, self.uid, self.gid = size, target, uid, gid

    @property
    def path(self) -> str:
        """The name below the directory that it is unpacked into; "." for that directory itself."""
        return os.path.normpath(self.name)


class Archive:
    """Something that can be read from front to back, more than once."""

    handler = ""
    """The name that Ansible returns for this kind."""

    sets_owner = True
    """Do its members say whose they are?"""

    def read(self) -> Opened:
        """Each member with its bytes, which must be read before the next member."""
        raise NotImplementedError


def refuse_unsafe(members: Iterable[Member]) -> None:
    """ModuleFailure for a member that would be written outside: by its name, or through a link of the archive's."""
    links: Dict[str, str] = {}
    for member in members:
        if member.kind == "other":
            raise ModuleFailure("%s in the archive is a device or a fifo: that cannot be unpacked" % member.name)
        _refuse(member.name, member.name, links)
        if member.kind == "hard":
            _refuse(member.target, member.name, links)
        if member.kind == "link":
            links[member.path] = member.target


def refuse_outside(name: str, member: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise ModuleFailure("%s in the archive leads out of the directory: nothing was unpacked" % member)


def _refuse(name: str, member: str, links: Dict[str, str]) -> None:
    refuse_outside(name, member)
    place: List[str] = []
    for part in os.path.normpath(name).split("/")[:-1]:
        place.append(part)
        target = links.get("/".join(place))
        if target is None:
            continue
        place = os.path.normpath(os.path.join(*place[:-1], target) if len(place) > 1 else target).split("/")
        if place[0] in ("", ".."):
            raise ModuleFailure("%s in the archive lies behind a link that leads out: nothing was unpacked" % member)
