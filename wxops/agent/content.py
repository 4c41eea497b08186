"""The bytes of a file, held in memory when small and left on disk when not: a model's weights never fit."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Iterator, List, Optional

SMALL = 256 * 1024
CHUNK = 1024 * 1024
BINARY_PROBE = 8192


class Content:
    """Bytes with their size and SHA-256, either `data` in memory or a file at `path`."""

    def __init__(self, data: Optional[bytes] = None, path: Optional[str] = None, spool: Any = None) -> None:
        """spool: the open temporary file behind `path`, which must stay open as long as the content is needed."""
        self.data, self.path, self._spool = data, path, spool
        self.size = len(data) if data is not None else os.stat(path or "").st_size
        self._sha256 = ""

    @classmethod
    def of_file(cls, path: str) -> Content:
        """A file's content: read now when small, else left where it is. No link is followed, no fifo waited for."""
        try:
            opened = _unread(path, os.O_NOFOLLOW | os.O_NONBLOCK)
        except PermissionError:
            return cls(path=path)  # who only asks whether it is there need not read it
        with open(opened, "rb") as file:
            if os.fstat(file.fileno()).st_size > SMALL:
                return cls(path=path)
            return cls(file.read())

    @property
    def descriptors(self) -> List[int]:
        """What must stay open for a process that is forked off."""
        return [] if self._spool is None else [self._spool.fileno()]

    @property
    def sha256(self) -> str:
        if not self._sha256:
            self._sha256 = digest(self.chunks(), "sha256")
        return self._sha256

    def open(self) -> BinaryIO:
        if self.data is not None:
            return io.BytesIO(self.data)
        return open(_unread(self.path or ""), "rb")

    def chunks(self) -> Iterator[bytes]:
        with self.open() as file:
            chunk = file.read(CHUNK)
            while chunk:
                yield chunk
                chunk = file.read(CHUNK)

    resumes = False
    """May a copy that was cut short go on from where it is?"""

    def rest(self, draft: BinaryIO) -> Iterator[bytes]:
        """The bytes that a draft still lacks; it is at its beginning, and empty unless the content resumes."""
        return self.chunks()

    def read(self) -> bytes:
        if self.data is not None:
            return self.data
        with self.open() as file:
            return file.read()

    def same(self, other: Content) -> bool:
        return self.size == other.size and (
            self.data == other.data if None not in (self.data, other.data) else self.sha256 == other.sha256
        )

    def text(self) -> Optional[str]:
        """As text for a diff; None when it is binary or too large to show."""
        if self.data is None or b"\0" in self.data[:BINARY_PROBE]:
            return None
        return self.data.decode("utf-8", "replace")


def digest(chunks: Iterator[bytes], algorithm: str) -> str:
    """Hex digest of the chunks; `algorithm` is a name that hashlib knows."""
    import hashlib  # not every task sums something

    summed = hashlib.new(algorithm)
    for chunk in chunks:
        summed.update(chunk)
    return summed.hexdigest()


def _unread(path: str, flags: int = 0) -> int:
    """A file opened to be read, which keeps the time when it was read last: looking at a file changes nothing."""
    flags |= os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # only its owner and root may ask for that
        return os.open(path, flags)
