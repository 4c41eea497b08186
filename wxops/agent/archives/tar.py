"""Tar archives: plain, or compressed with gzip, bzip2, xz or, where the host has the program, zstd."""

from __future__ import annotations

import contextlib
import grp
import pwd
import shutil
import subprocess
import tarfile
import threading
import zlib
from typing import TYPE_CHECKING

from wxops.agent.archives.member import Archive, Member
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import BinaryIO, Iterator

    from wxops.agent.archives.member import Opened
    from wxops.agent.content import Content

# What a file of each kind begins with, the handler that Ansible says it takes, and Python's mode for a stream of it.
COMPRESSED = (
    (b"\x1f\x8b", "TgzArchive", "r|gz"),
    (b"BZh", "TarArchive", "r|bz2"),
    (b"\xfd7zXZ\0", "TarArchive", "r|xz"),
    (b"\x28\xb5\x2f\xfd", "TarArchive", "zstd"),
)
KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
         tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard"}  # fmt: skip
BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error)
NANOSECONDS = 10**9


class TarArchive(Archive):
    """Owners by name where the host knows it, else by number, unless `numeric`: as tar does for root."""

    def __init__(self, content: Content, src: str, numeric: bool = False) -> None:
        self._content, self._src, self._numeric = content, src, numeric
        with content.open() as file:
            begin = file.read(8)
        found = next((each for each in COMPRESSED if begin.startswith(each[0])), (b"", "TarArchive", "r|"))
        _, self.handler, self._mode = found

    def read(self) -> Opened:
        try:
            with self._stream() as stream:
                mode = "r|" if self._mode == "zstd" else self._mode
                with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
                    for info in tar:
                        yield self._member(info), tar.extractfile(info) if info.isreg() else None
        except BROKEN as error:
            raise ModuleFailure("%s cannot be read as an archive: %s" % (self._src, error)) from None

    def _stream(self) -> contextlib.AbstractContextManager[BinaryIO]:
        return _decompressed(self._content) if self._mode == "zstd" else self._content.open()

    def _member(self, info: tarfile.TarInfo) -> Member:
        uid = gid = None
        if self.sets_owner:
            uid, gid = info.uid, info.gid
            if not self._numeric:
                uid, gid = _uid(info.uname, uid), _gid(info.gname, gid)
        name = info.name + "/" if info.isdir() else info.name
        return Member(name, KINDS.get(info.type, "other"), info.mode & 0o7777, _moment(info), info.size, info.linkname,
                      uid, gid)  # fmt: skip


def _moment(info: tarfile.TarInfo) -> int:
    """Nanoseconds, which a float cannot hold: from the text that a pax archive has."""
    seconds, _, fraction = info.pax_headers.get("mtime", str(int(info.mtime))).partition(".")
    return int(seconds) * NANOSECONDS + int(fraction[:9].ljust(9, "0"))


def _uid(name: str, number: int) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return number


def _gid(name: str, number: int) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return number


@contextlib.contextmanager
def _decompressed(content: Content) -> Iterator[BinaryIO]:
    program = shutil.which("zstd")
    if program is None:
        raise ModuleFailure("the archive is compressed with zstd, which this host does not have: install it first")
    process = subprocess.Popen(
        [program, "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None and process.stdout is not None
    threading.Thread(target=_feed, args=(content, process.stdin), daemon=True).start()
    try:
        yield process.stdout  # type: ignore[misc]
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _feed(content: Content, pipe: BinaryIO) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:
        for chunk in content.chunks():
            pipe.write(chunk)
