"""Zip archives, with the modes, links and times that Unix programs put into them."""

from __future__ import annotations

import os
import stat
import struct
import time
import zipfile
import zlib
from typing import TYPE_CHECKING

from wxops.agent.archives.member import Archive, Member
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import umask

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.archives.member import Opened
    from wxops.agent.content import Content

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
UNIX = 3  # "version made by": the upper half of external_attr is a Unix mode
EXTENDED_TIME = 0x5455  # extra field: flags, then the time of modification in UTC (Info-ZIP's extrafld.txt)
NANOSECONDS = 10**9


class ZipArchive(Archive):
    """What it holds belongs to the user who unpacks it."""

    handler = "ZipArchive"

    def __init__(self, content: Content, src: str) -> None:
        self._content, self._src = content, src

    def read(self) -> Opened:
        try:
            with self._content.open() as file, zipfile.ZipFile(file) as archive:
                for info in archive.infolist():
                    member = _member(info)
                    if member.kind == "link":
                        member.target = archive.read(info).decode("utf-8", "surrogateescape")
                    if member.kind == "file":
                        with archive.open(info) as stream:
                            yield member, stream  # type: ignore[misc]
                    else:
                        yield member, None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, zlib.error) as error:
            raise ModuleFailure("%s cannot be read as an archive: %s" % (self._src, error)) from None


def _member(info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16 if info.create_system == UNIX else 0
    directory = info.filename.endswith("/")
    if not stat.S_IMODE(mode):
        mode = (0o777 if directory else 0o666) & ~umask()
    kind = "directory" if directory else "link" if stat.S_ISLNK(mode) else "file"
    # unzip sets no setuid, setgid or sticky bit unless it is told to
    return Member(info.filename, kind, mode & 0o777, _moment(info), info.file_size, "", os.geteuid(), os.getegid())


def _moment(info: zipfile.ZipInfo) -> int:
    """The extended time where there is one; else local time in steps of two seconds, as DOS had it."""
    exact = _extended_time(info.extra)
    return (exact if exact is not None else int(time.mktime((*info.date_time, 0, 0, -1)))) * NANOSECONDS


def _extended_time(extra: bytes) -> Optional[int]:
    while len(extra) >= 4:
        field, length = struct.unpack_from("<HH", extra)
        if field == EXTENDED_TIME and length >= 5 and extra[4] & 1:
            (seconds,) = struct.unpack_from("<i", extra, 5)
            return int(seconds)
        extra = extra[4 + length :]
    return None
