"""Mounted file systems and their room. A server that is gone must not hold the run: who may hang is asked by a child.

statvfs() on a dead NFS mount cannot be interrupted (ansible/ansible#25046), not even by a signal to its thread. So
only file systems that are known to live on this host, and whose path leads through no others, are asked directly.
"""

from __future__ import annotations

import json
import os
import re
import select
import stat
import time
from errno import EACCES
from typing import TYPE_CHECKING

from wxops.agent.apart import abandon, fork_apart

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    from wxops.agent.apart import Write
    from wxops.agent.facts.host import Host

    Answers = Dict[str, Dict[str, Any]]

LOCAL = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "exfat", "iso9660", "udf", "squashfs",
                   "erofs", "overlay", "tmpfs", "ramfs", "devtmpfs"])  # fmt: skip


def mounts(host: Host) -> Dict[str, Any]:
    bound = _bind_mounts(host)
    kinds: Dict[str, str] = {}
    entries: Answers = {}
    for fields in (line.split() for line in host.lines("/proc/self/mounts")):
        device, mount, kind, options = (_unescaped(field) for field in fields[:4])
        kinds[mount] = kind
        if (device.startswith(("/", "\\")) or ":/" in device) and kind != "none":
            options += ",bind" if mount in bound else ""
            dump, check = (int(field) for field in fields[4:6])
            entries[mount] = {"mount": mount, "device": device, "fstype": kind, "options": options, "dump": dump,
                              "passno": check, "uuid": _uuid(host, device)}  # fmt: skip
    rooms = {mount: room(host.root + mount) for mount in entries if not may_hang(mount, kinds)}
    rooms.update(rooms_within(host.root, [mount for mount in entries if mount not in rooms], host.timeout))
    for mount, entry in entries.items():
        entry.update(rooms[mount])
        if "note" in entry and not entry["note"].endswith(os.strerror(EACCES)):
            host.warn("mounts: %s (%s from %s): %s" % (mount, entry["fstype"], entry["device"], entry["note"]))
    return {"mounts": list(entries.values())}


def may_hang(mount: str, kinds: Dict[str, str]) -> bool:
    """Is it, or does its path lead through, a file system that a server or a daemon answers for?"""
    above = (kind for other, kind in kinds.items() if (mount + "/").startswith(other.rstrip("/") + "/"))
    return any(kind not in LOCAL for kind in above)


def _bind_mounts(host: Host) -> Dict[str, str]:
    """Mounts that show a directory of a file system rather than its root."""
    fields = (line.split() for line in host.lines("/proc/self/mountinfo"))
    return {_unescaped(words[4]): words[3] for words in fields if words[3] != "/"}


def _unescaped(field: str) -> str:
    """The kernel writes blanks and such as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def _uuid(host: Host, device: str) -> str:
    """From udev's record of the device."""
    try:
        state = os.stat(host.root + device) if device.startswith("/dev/") else None
    except OSError:
        state = None
    if state is None or not stat.S_ISBLK(state.st_mode):
        return "N/A"
    record = host.lines("/run/udev/data/b%d:%d" % (os.major(state.st_rdev), os.minor(state.st_rdev)))
    found = [line.partition("=")[2] for line in record if line.startswith("E:ID_FS_UUID=")]
    return found[0] if found else "N/A"


def room(mount: str) -> Dict[str, Any]:
    """Bytes, blocks and inodes, all and those left to users; a `note` in their place when the kernel refuses."""
    try:
        found = os.statvfs(mount)
    except OSError as error:
        return {"note": "Could not get extra information: %s" % error.strerror}
    return {
        "size_total": found.f_frsize * found.f_blocks,
        "size_available": found.f_frsize * found.f_bavail,
        "block_size": found.f_bsize,
        "block_total": found.f_blocks,
        "block_available": found.f_bavail,
        "block_used": found.f_blocks - found.f_bavail,
        "inode_total": found.f_files,
        "inode_available": found.f_favail,
        "inode_used": found.f_files - found.f_favail,
    }


def rooms_within(root: str, names: List[str], timeout: float) -> Answers:
    """The room at each mount, each asked by a child of its own; those that do not answer in time are left behind."""
    answers: Answers = {}
    waiting = {}
    poll = select.poll()  # select() itself knows no descriptor above 1023
    for mount in names:
        pid, pipe = fork_apart(_room_of(root + mount))
        waiting[pipe] = (mount, pid)
        poll.register(pipe, select.POLLIN)
    deadline = time.monotonic() + timeout
    while waiting:
        ready = [pipe for pipe, _ in poll.poll(max(0, deadline - time.monotonic()) * 1000)]
        for pipe in ready or list(waiting):
            mount, pid = waiting.pop(pipe)
            poll.unregister(pipe)
            answers[mount] = _answer(pipe, pid) if ready else _abandon(pipe, pid)
    return answers


def _room_of(path: str) -> Callable[[Write], object]:
    return lambda write: write(json.dumps(room(path)).encode())


def _answer(pipe: int, pid: int) -> Dict[str, Any]:
    data = os.read(pipe, 65536)
    os.close(pipe)
    os.waitpid(pid, 0)
    answer: Dict[str, Any] = json.loads(data) if data else {"note": "Could not get extra information: no answer"}
    return answer


def _abandon(pipe: int, pid: int) -> Dict[str, Any]:
    os.close(pipe)
    abandon(pid)
    return {"note": "Could not get extra information due to timeout"}
