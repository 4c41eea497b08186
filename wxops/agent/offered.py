"""Content that the controller offers by digest: taken over the link only when its bytes are needed."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.content import CHUNK, SMALL, Content
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, Iterator, Optional

    from wxops.agent.change import Link


RESUMED = 8 * 1024 * 1024
"""Of smaller content a cut costs no more than sending it again does."""


class OfferedContent(Content):
    """Size and digest are known; a file that has them already, or a check of a large one, takes no byte."""

    def __init__(self, link: Link, name: str, sha256: str, size: int) -> None:
        self.data = self.path = None
        self.size, self._sha256 = size, sha256
        self._link, self._name = link, name
        self._taken: Optional[Content] = None
        self.resumes = size >= RESUMED

    def open(self) -> BinaryIO:
        """For who reads it more than once; it is kept on this host."""
        return self._content().open()

    def chunks(self) -> Iterator[bytes]:
        """For who writes it into its place: straight from the link, and wrong if the last chunk shows that it is."""
        if self._taken is not None:
            yield from self._taken.chunks()
            return
        summed = hashlib.sha256()
        for chunk in self._link.stream(self._name):
            summed.update(chunk)
            yield chunk
        self._expect(summed.hexdigest())

    def rest(self, draft: BinaryIO) -> Iterator[bytes]:
        """From where a draft ends that an earlier run left; from the beginning when that was of other bytes."""
        if self._taken is not None or not self.resumes:
            yield from self.chunks()
            return
        summed, start = hashlib.sha256(), 0
        for chunk in iter(lambda: draft.read(CHUNK), b""):
            summed.update(chunk)
            start += len(chunk)
        for chunk in self._link.stream(self._name, start):
            summed.update(chunk)
            yield chunk
        if start and summed.hexdigest() != self._sha256:
            draft.seek(0)
            draft.truncate()
            yield from self.chunks()
        else:
            self._expect(summed.hexdigest())

    def keep(self, folder: Optional[str]) -> Content:
        """For who reads a large one more than once: in a file without a name in that folder, or in /tmp."""
        spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  the content keeps it
        spool.writelines(self.chunks())
        spool.flush()
        return Content(path="/proc/self/fd/%d" % spool.fileno(), spool=spool)

    def text(self) -> Optional[str]:
        return self._content().text() if self.size <= SMALL else None

    def _content(self) -> Content:
        if self._taken is None:
            taken = self._link.fetch(self._name)
            self._expect(taken.sha256)
            self._taken = taken
        return self._taken

    def _expect(self, found: str) -> None:
        if found != self._sha256:
            raise ModuleFailure("the source changed on the controller while it was being copied: run again")


def content_from(link: Link, sent: Dict[str, Any]) -> Content:
    """What the controller sent: {"base64"}, or {"offer", "sha256", "size"}."""
    if "base64" in sent:
        return Content(base64.b64decode(sent["base64"]))
    return OfferedContent(link, sent["offer"], sent["sha256"], sent["size"])
