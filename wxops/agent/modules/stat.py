"""What is known of a path: its type, mode, owner, times, digest and more. Changes nothing."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import stat as bits
from typing import TYPE_CHECKING

from wxops.agent.content import Content, digest
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources.inode_flags import FLAGS, letters, read_flags, read_version

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

    Facts = Dict[str, Any]

ALIASES = {
    "dest": "path", "name": "path", "mime": "get_mime", "mime_type": "get_mime", "mime-type": "get_mime",
    "attr": "get_attributes", "attributes": "get_attributes", "checksum": "checksum_algorithm",
    "checksum_algo": "checksum_algorithm",
}  # fmt: skip

TYPES = {"directory": bits.S_IFDIR, "file": bits.S_IFREG, "link": bits.S_IFLNK, "fifo": bits.S_IFIFO,
         "socket": bits.S_IFSOCK, "block": bits.S_IFBLK, "char": bits.S_IFCHR}  # fmt: skip
TESTS = {"isdir": bits.S_ISDIR, "ischr": bits.S_ISCHR, "isblk": bits.S_ISBLK, "isreg": bits.S_ISREG,
         "isfifo": bits.S_ISFIFO, "islnk": bits.S_ISLNK, "issock": bits.S_ISSOCK}  # fmt: skip
BITS = {"rusr": 0o400, "wusr": 0o200, "xusr": 0o100, "rgrp": 0o040, "wgrp": 0o020, "xgrp": 0o010, "roth": 0o004,
        "woth": 0o002, "xoth": 0o001, "isuid": bits.S_ISUID, "isgid": bits.S_ISGID}  # fmt: skip


def stat(
    change: Change,
    path: Path,
    follow: bool = False,
    get_checksum: bool = True,
    checksum_algorithm: Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "sha1",
    get_mime: bool = True,
    get_attributes: bool = True,
) -> Dict[str, Any]:
    """Return what is known of a path, as `stat`; stat.exists says whether it is there.

    path: what to look at.
    follow: look at what a link points to.
    get_checksum: stat.checksum, the digest of a file's content.
    checksum_algorithm: of that digest.
    get_mime: stat.mimetype and stat.charset, if the host has `file`.
    get_attributes: stat.attributes, the flags that chattr sets.
    """
    facts = _would_be(change, path, follow) if change.view.overlay else None
    pending = facts is not None
    if facts is None:
        facts = _on_disk(path, follow)
    if not facts["exists"]:
        return {"stat": facts}
    if facts["islnk"]:
        facts.update(lnk_source=_real(change, path), lnk_target=change.file(path)["target"])
    if get_checksum and facts["isreg"] and facts.get("readable", True):
        content = change.file(path, follow=True)["content"]
        facts["checksum"] = _checksum(content, checksum_algorithm)
    if get_mime:
        facts.update({"mimetype": "unknown", "charset": "unknown"} if pending else _mime(path))
    if get_attributes:
        facts.update(_attributes(None if pending else path))
    return {"stat": facts}


def _real(change: Change, path: str) -> str:
    """Where a link leads; one that leads to itself is as far as that goes."""
    try:
        return change.real(path)
    except ModuleFailure:
        return os.path.realpath(path)


def _would_be(change: Change, path: str, follow: bool) -> Optional[Facts]:
    """What earlier tasks of this check would have made of the path; None when it is as the host has it."""
    place = change.real(path) if follow else change.place(path)
    try:
        state = change.state("file", place)
    except PermissionError:
        return None  # it was asked of the host
    if state["type"] == "absent":
        return {"exists": False}
    if ("file", place) not in change.view.overlay:
        return None
    size = {"size": state["content"].size} if state["type"] == "file" else {}
    mode = TYPES[state["type"]] | state["mode"]
    return _facts(path, mode, state.get("uid", os.geteuid()), state.get("gid", os.getegid()), size)


def _on_disk(path: str, follow: bool) -> Facts:
    try:
        found = os.stat(path) if follow else os.lstat(path)
    except FileNotFoundError:
        return {"exists": False}
    except OSError as error:
        raise ModuleFailure(error.strerror or str(error), path=path) from None
    return _facts(path, found.st_mode, found.st_uid, found.st_gid, {
        "size": found.st_size, "inode": found.st_ino, "dev": found.st_dev, "nlink": found.st_nlink,
        "atime": found.st_atime, "mtime": found.st_mtime, "ctime": found.st_ctime, "blocks": found.st_blocks,
        "block_size": found.st_blksize, "device_type": found.st_rdev, "readable": os.access(path, os.R_OK),
        "writeable": os.access(path, os.W_OK), "executable": os.access(path, os.X_OK),
    })  # fmt: skip


def _facts(path: str, mode: int, uid: int, gid: int, more: Facts) -> Facts:
    facts: Facts = {"exists": True, "path": path, "mode": "%04o" % bits.S_IMODE(mode), "uid": uid, "gid": gid, **more}
    facts.update((name, test(mode)) for name, test in TESTS.items())
    facts.update((name, bool(mode & bit)) for name, bit in BITS.items())
    with contextlib.suppress(KeyError):  # a number that no user has
        facts["pw_name"] = pwd.getpwuid(uid).pw_name
    with contextlib.suppress(KeyError):
        facts["gr_name"] = grp.getgrgid(gid).gr_name
    return facts


def _checksum(content: Content, algorithm: str) -> str:
    try:
        return content.sha256 if algorithm == "sha256" else digest(content.chunks(), algorithm)
    except ValueError as error:
        raise ModuleFailure("this host has no %s: %s" % (algorithm, error)) from None


def _mime(path: str) -> Facts:
    """What `file` says of it."""
    program = shutil.which("file")
    if program is not None:
        done = run([program, "--mime-type", "--mime-encoding", path])
        kind, found, charset = done.stdout.rpartition(": ")[2].partition("; charset=")
        if done.rc == 0 and found:
            return {"mimetype": kind.strip(), "charset": charset.strip()}
    return {"mimetype": "unknown", "charset": "unknown"}


def _attributes(path: Optional[str]) -> Facts:
    flags = read_flags(path) if path is not None else None
    if path is None or flags is None:
        return {"version": None, "attributes": [], "attr_flags": ""}
    names = [name for _, bit, name in FLAGS if flags & bit and name]
    return {"version": str(read_version(path)), "attributes": names, "attr_flags": letters(flags)}
