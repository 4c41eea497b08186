"""Content on its way over a link: what was offered for a task goes out in chunks, what comes lands in a file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxops.agent import wire
from wxops.transport.pipe import PACKET

Contents = Mapping[str, Path | bytes]
"""By the names under which the agent asks for them."""

FRAME = 8 * PACKET
"""A whole number of SSH's packets."""


def frames(content: Path | bytes, start: int) -> Iterator[memoryview]:
    """From byte `start` on, as DATA frames, an empty one last; each is overwritten by the next.

    A file that cannot be read to its end ends early: the agent checks the digest.
    """
    frame = bytearray(FRAME)
    view = memoryview(frame)
    with contextlib.suppress(OSError), _opened(content) as file:
        file.seek(start)
        while size := file.readinto(view[wire.HEADER.size :]):
            wire.HEADER.pack_into(frame, 0, size, wire.DATA)
            yield view[: wire.HEADER.size + size]
    yield memoryview(wire.pack(wire.DATA))


def _opened(content: Path | bytes) -> io.RawIOBase | io.BytesIO:
    return io.BytesIO(content) if isinstance(content, bytes) else io.FileIO(content)


class Offers:
    """Content that the agent may ask for: a task's, which is let go with it.

    In a check run it stays to the end, since later tasks read through the overlay what earlier ones would have written.
    """

    def __init__(self, kept: bool) -> None:
        self._kept = kept
        self._contents: dict[str, Path | bytes] = {}

    @contextlib.contextmanager
    def of_task(self, contents: Contents) -> Iterator[None]:
        self._contents.update(contents)
        yield
        if not self._kept:
            self._contents.clear()

    def asked(self, payload: bytes) -> Iterator[memoryview] | None:
        """The frames that a NEED frame asks for: a name, a blank, and the byte to begin with. None: not offered."""
        name, _, start = payload.decode("utf-8", "replace").partition(" ")
        if name not in self._contents or not start.isdecimal():
            return None
        return frames(self._contents[name], int(start))


class Arrival:
    """A file that comes from the host: under a name of its own beside its place until it is complete."""

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, path.with_name(f".{path.name}.wxops-new")
        self._partial.unlink(missing_ok=True)

    def take(self, chunk: bytes) -> bool:
        """The next bytes; none end it. Is it complete?"""
        if chunk:
            with self._partial.open("ab") as file:
                file.write(chunk)
        else:
            self._partial.touch()
            self._partial.replace(self._path)
        return not chunk
