"""A file or directory with a name that nobody else has."""

from __future__ import annotations

import os
import random
import string
import tempfile as python_tempfile
from typing import TYPE_CHECKING

from wxops.agent.attributes import describe
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

CHARACTERS = string.ascii_lowercase + string.digits + "_"
LENGTH = 8


def tempfile(
    change: Change,
    state: Literal["directory", "file"] = "file",
    path: Optional[Path] = None,
    prefix: str = "ansible.",
    suffix: str = "",
) -> Dict[str, Any]:
    """Make a temporary file or directory that only its owner can read. A rollback removes it.

    state: which of the two.
    path: the directory to make it in; by default the host's own, /tmp.
    prefix: what its name begins with.
    suffix: what its name ends with.
    """
    for name, part in (("prefix", prefix), ("suffix", suffix)):
        if part != os.path.basename(part):
            raise ModuleFailure("%s must be a valid file name component, got %r" % (name, part))
    folder = path or python_tempfile.gettempdir()
    if change.file(folder, follow=True)["type"] != "directory":
        raise ModuleFailure("there is no directory %s" % folder, path=folder)
    chosen = _free_name(change, folder, prefix, suffix)
    made: Dict[str, Any] = {"type": "directory", "mode": 0o700}
    if state == "file":
        made = {"type": "file", "mode": 0o600, "content": Content(b"")}
    change.set("file", change.place(chosen), made)
    return dict(describe(change, chosen), path=chosen)


def _free_name(change: Change, folder: str, prefix: str, suffix: str) -> str:
    while True:
        middle = "".join(random.SystemRandom().choice(CHARACTERS) for _ in range(LENGTH))
        path = os.path.join(folder, prefix + middle + suffix)
        if change.file(path)["type"] == "absent":
            return path
