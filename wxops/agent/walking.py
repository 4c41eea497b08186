"""What is in a directory, with the status of each: from the disk, or as earlier tasks of a check would have left it."""

from __future__ import annotations

import io
import os
import stat
import time
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.tree import names_in

if TYPE_CHECKING:
    from typing import Any, List, Optional, TextIO

    from wxops.agent.change import Change

TYPES = {"directory": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK, "fifo": stat.S_IFIFO,
         "socket": stat.S_IFSOCK, "block": stat.S_IFBLK, "char": stat.S_IFCHR}  # fmt: skip


class Entry:
    """A name in a directory. `status` is what lstat(2) returns, or what it would."""

    def __init__(self, path: str, status: Any, leads_down: bool, content: Optional[Content] = None) -> None:
        """leads_down: it is a directory, or a link to one; content: of a file that only a check has."""
        self.path, self.name, self.status, self.leads_down = path, os.path.basename(path), status, leads_down
        self._content = content

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    def content(self) -> Content:
        return self._content or Content(path=self.path)

    def open(self, encoding: Optional[str]) -> TextIO:
        if self._content is None:
            return open(self.path, encoding=encoding)
        return io.TextIOWrapper(io.BytesIO(self._content.read()), encoding=encoding)


def entries(change: Change, folder: str) -> List[Entry]:
    """What the directory holds: what leads no further, then directories and links to them."""
    found = _pending(change, folder) if change.view.overlay else _on_disk(folder)
    return sorted(found, key=lambda entry: entry.leads_down)


def _on_disk(folder: str) -> List[Entry]:
    with os.scandir(folder) as listed:
        return [Entry(os.path.normpath(each.path), each.stat(follow_symlinks=False), each.is_dir()) for each in listed]


def _pending(change: Change, folder: str) -> List[Entry]:
    found = []
    for name in names_in(change, folder):
        path = os.path.normpath(os.path.join(folder, name))
        state = change.file(path)
        if ("file", change.place(path)) not in change.view.overlay:
            found.append(Entry(path, os.lstat(path), os.path.isdir(path)))
            continue
        leads_down = state["type"] == "directory" or (
            state["type"] == "link" and change.file(path, follow=True)["type"] == "directory"
        )
        found.append(Entry(path, WouldBe(state), leads_down, state.get("content")))
    return found


class WouldBe:
    """The status of what only a check has: made now, by us, and nowhere yet."""

    st_ino = st_dev = 0
    st_nlink = 1

    def __init__(self, state: Any) -> None:
        self.st_mode = TYPES[state["type"]] | state["mode"]
        self.st_uid, self.st_gid = state.get("uid", os.geteuid()), state.get("gid", os.getegid())
        self.st_size = state["content"].size if "content" in state else 0
        self.st_atime = self.st_ctime = time.time()
        self.st_mtime = state["mtime_ns"] / 1e9 if "mtime_ns" in state else self.st_ctime
