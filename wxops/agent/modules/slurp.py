"""A file of the host's, whole, in the result."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.content import Content

ALIASES = {"path": "src"}
LARGEST = 32 * 1024 * 1024
"""A result travels in one frame of at most 64 MiB, and base64 makes four bytes of three."""


def slurp(change: Change, src: Path) -> Dict[str, Any]:
    """Return a file's content as base64.

    src: the file. For a large one, or to keep it, use fetch.
    """
    content = readable(change, src)
    if content.size > LARGEST:
        raise ModuleFailure(
            "%s has %d bytes, too many for a result: fetch takes files of any size" % (src, content.size), source=src
        )
    return {"content": base64.b64encode(_bytes(content, src)).decode(), "source": src, "encoding": "base64"}


def readable(change: Change, path: str) -> Content:
    """The content of a file that is there, or a failure in the words that playbooks look for."""
    try:
        state = change.file(path, follow=True)
    except PermissionError:
        raise ModuleFailure("File is not readable: %s" % path) from None
    if state["type"] == "absent" and change.file(os.path.dirname(path) or ".", follow=True)["type"] == "file":
        raise ModuleFailure("Unable to slurp file: %s is below a file" % path)
    if state["type"] == "absent":
        raise ModuleFailure("File not found: %s" % path)
    if state["type"] == "directory":
        raise ModuleFailure("Source is a directory and must be a file: %s" % path)
    if state["type"] != "file":
        raise ModuleFailure("%s is a %s, not a file" % (path, state["type"]))
    content: Content = state["content"]
    return content


def _bytes(content: Content, path: str) -> bytes:
    try:
        return content.read()
    except OSError as error:
        raise ModuleFailure("File is not readable: %s (%s)" % (path, error.strerror)) from None
