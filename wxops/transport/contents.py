"""Content on its way over a link: what was offered for a task goes out in chunks, what comes lands in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from wxops.agent import wire


def chunks(content: Path | bytes, start: int) -> Iterator[bytes]:
    """From byte `start` on. A file that cannot be read to its end ends early: the agent checks the digest."""
    if isinstance(content, bytes):
        yield from (content[at : at + wire.CHUNK] for at in range(start, len(content), wire.CHUNK))
        return
    with contextlib.suppress(OSError), content.open("rb") as file:
        file.seek(start)
        while chunk := file.read(wire.CHUNK):
            yield chunk


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
