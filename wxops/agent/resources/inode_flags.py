"""The flags of an inode that lsattr shows and chattr sets, asked of the kernel without either program."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, Iterator, Optional

    from wxops.agent.change import View
    from wxops.agent.resources import State

# _IOR('f', 1, long), _IOW('f', 2, long) and _IOR('v', 1, long) of linux/fs.h, for 64-bit and 32-bit machines
_LONG = array.array("l").itemsize
GET_FLAGS = 0x80006601 | _LONG << 16
SET_FLAGS = 0x40006602 | _LONG << 16
GET_VERSION = 0x80007601 | _LONG << 16

# Letter, bit (linux/fs.h, FS_*_FL), Ansible's name; in the order in which lsattr prints them.
FLAGS = (
    ("s", 0x1, "zero"),
    ("u", 0x2, "undelete"),
    ("S", 0x8, "synchronous"),
    ("D", 0x10000, "dirsync"),
    ("i", 0x10, "immutable"),
    ("a", 0x20, "append"),
    ("d", 0x40, "nodump"),
    ("A", 0x80, "noatime"),
    ("c", 0x4, "compressed"),
    ("E", 0x800, "encrypted"),
    ("j", 0x4000, "journalled"),
    ("I", 0x1000, "indexed"),
    ("t", 0x8000, "notail"),
    ("T", 0x20000, "blockroot"),
    ("e", 0x80000, "extents"),
    ("C", 0x800000, "nocow"),
    ("x", 0x2000000, None),
    ("F", 0x40000000, None),
    ("N", 0x10000000, "inline"),
    ("P", 0x20000000, None),
    ("V", 0x100000, None),
    ("m", 0x400, None),
)
SETTABLE = sum(bit for letter, bit, _ in FLAGS if letter in "suSDiadAcjtTCxPm")
"""The rest belongs to the file system: e, the layout of the file, must survive `attributes: "="`."""


class InodeFlagsKind(Kind):
    """The name is a path. The state: {"flags": number}, nothing where the file system has no flags."""

    def read(self, name: str, view: View) -> State:
        flags = read_flags(name)
        return {} if flags is None else {"flags": flags}

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return super().diff(name, _readable(before), _readable(after))

    def write(self, name: str, state: State) -> None:
        if "flags" not in state:
            return
        with _opened(name) as descriptor:
            try:
                fcntl.ioctl(descriptor, SET_FLAGS, array.array("l", [state["flags"]]))
            except OSError as error:
                raise ModuleFailure(
                    "cannot set the attributes %r on %s: %s" % (letters(state["flags"]), name, error.strerror)
                ) from None


KIND = InodeFlagsKind()


def _readable(state: State) -> State:
    return {"attributes": letters(state.get("flags", 0) & SETTABLE)}


def wanted(now: State, text: str) -> State:
    """The state after `text` ("i", "+iA", "-a", "=d") is applied."""
    if "flags" not in now:
        raise ModuleFailure("the file system here has no attributes (chattr): %s cannot be set" % text)
    operator, chosen = (text[0], text[1:]) if text[0] in "+-=" else ("=", text)
    bits = sum(_bit(letter) for letter in set(chosen))
    if operator == "+":
        return {"flags": now["flags"] | bits}
    if operator == "-":
        return {"flags": now["flags"] & ~bits}
    return {"flags": (now["flags"] & ~SETTABLE) | bits}


def read_flags(path: str) -> Optional[int]:
    """None where there are none: no such file, a link, a device, a file system without them."""
    return _ask(path, GET_FLAGS)


def read_version(path: str) -> Optional[int]:
    """The inode's generation number."""
    return _ask(path, GET_VERSION)


def letters(flags: int) -> str:
    return "".join(letter for letter, bit, _ in FLAGS if flags & bit)


def _bit(letter: str) -> int:
    for known, bit, _ in FLAGS:
        if known == letter and bit & SETTABLE:
            return bit
    raise ModuleFailure("%r is no file attribute that can be set; see chattr(1)" % letter)


def _ask(path: str, question: int) -> Optional[int]:
    answer = array.array("l", [0])
    with contextlib.suppress(OSError), _opened(path) as descriptor:
        fcntl.ioctl(descriptor, question, answer)
        return answer[0] & 0xFFFFFFFF
    return None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """A descriptor of a file or directory. Opening a device or a fifo could have effects of its own."""
    mode = os.lstat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError("%s has no attributes" % path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
