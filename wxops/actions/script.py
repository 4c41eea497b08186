"""A script of the controller's, run on the host."""

from __future__ import annotations

import io
import shlex
from typing import TYPE_CHECKING, Any

from wxops.actions import Call
from wxops.actions._content import find, packed, read
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.agent.arguments import Path

FREE_FORM = "_raw_params"


def prepare(
    call: Call,
    _raw_params: str | None = None,
    cmd: str | None = None,
    executable: str | None = None,
    chdir: Path | None = None,
    creates: Path | None = None,
    removes: Path | None = None,
    decrypt: bool = True,
) -> tuple[str, dict[str, Any]]:
    """Run a script of the controller's on the host; nothing of it stays there.

    It is not taken back by a rollback unless the task names its inverse with `rollback:`.

    cmd: the script, looked for in files/, and its arguments, which a shell reads.
    executable: what to run it with (python3); without it the script's first line says.
    chdir: the directory to run it in, an absolute path.
    creates: a path; when it exists the script is not run.
    removes: a path; when it does not exist the script is not run.
    decrypt: open a script that is encrypted with a vault password.
    """
    text = (_raw_params or cmd or "").strip()
    if not text:
        raise InputError("one of the following is required: a script in free form, or cmd")
    name, arguments = _first_word(text)
    path = find(call, name, "files")
    if not path.is_file():
        raise InputError("is no file, so it cannot be run", where=str(path))
    return "script", {
        "_content": packed(call, read(call, path, decrypt)), "_name": path.name, "_arguments": arguments,
        "executable": executable, "chdir": chdir, "creates": creates, "removes": removes,
    }  # fmt: skip


def _first_word(text: str) -> tuple[str, str]:
    """The script, and the rest with its quotes as they stand: the host's shell reads them."""
    stream = io.StringIO(text)
    words = shlex.shlex(stream, posix=True)
    words.whitespace_split, words.commenters = True, ""
    try:
        name = words.get_token() or ""
    except ValueError as error:
        raise InputError(f"{error} in: {text}") from None
    return name, stream.read().strip()
