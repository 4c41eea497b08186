"""The bytes of a member as content: kept in memory when small, beside their place when large, not at all when known."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import CHUNK, SMALL, Content

if TYPE_CHECKING:
    from typing import BinaryIO, Optional, Tuple

    from wxops.agent.archives.member import Archive


def new_content(archive: Archive, name: str, stream: BinaryIO, size: int, now: Optional[Content],
                folder: Optional[str]) -> Optional[Content]:  # fmt: skip
    """A member's content, or None when it is what the file on disk holds `now`. The stream is read once.

    folder: where a large one may lie without a name until it is in its place; None in check mode, which keeps none.
    """
    if size <= SMALL:
        small = Content(stream.read())
        return None if now is not None and small.same(now) else small
    known, rest = 0, b""
    if now is not None and now.size == size:
        known, rest = _compare(stream, now)
        if known == size:
            return None
    sink = _Sink(folder)
    if now is not None and known:
        with now.open() as same:
            sink.copy(same, known)
    sink.write(rest)
    sink.copy(stream, size - known - len(rest))
    return sink.content(archive, name, size)


def _compare(stream: BinaryIO, now: Content) -> Tuple[int, bytes]:
    """How many bytes are the same in whole chunks, and the first chunk that is not."""
    same = 0
    with now.open() as old:
        while True:
            chunk = _exactly(stream, CHUNK)
            if chunk != _exactly(old, CHUNK):
                return same, chunk
            if not chunk:
                return same, b""
            same += len(chunk)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """Streams may give less than is asked for; only the end gives nothing."""
    parts, missing = [], size
    while missing:
        part = stream.read(missing)
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class _Sink:
    """Takes bytes, sums them up, and keeps them in a file without a name if it may."""

    def __init__(self, folder: Optional[str]) -> None:
        self._sum = hashlib.sha256()
        self._file = tempfile.TemporaryFile(dir=folder) if folder is not None else None  # noqa: SIM115  content keeps it

    def write(self, data: bytes) -> None:
        self._sum.update(data)
        if self._file is not None:
            self._file.write(data)

    def copy(self, source: BinaryIO, size: int) -> None:
        while size > 0:
            chunk = source.read(min(CHUNK, size))
            if not chunk:
                raise EOFError("the archive ends too early")
            self.write(chunk)
            size -= len(chunk)

    def content(self, archive: Archive, name: str, size: int) -> Content:
        if self._file is None:
            return ArchivedContent(archive, name, size, self._sum.hexdigest())
        self._file.flush()
        content = Content(path="/proc/self/fd/%d" % self._file.fileno(), spool=self._file)
        content._sha256 = self._sum.hexdigest()
        return content


class ArchivedContent(Content):
    """What check mode would have unpacked: read from the archive again, should a later task of the check ask."""

    def __init__(self, archive: Archive, name: str, size: int, sha256: str) -> None:
        self.data = self.path = None
        self.size, self._sha256 = size, sha256
        self._archive, self._name = archive, name

    def open(self) -> BinaryIO:
        copy = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
        for member, stream in self._archive.read():
            if member.name == self._name and stream is not None:
                shutil.copyfileobj(stream, copy, CHUNK)
        copy.seek(0)
        return copy
