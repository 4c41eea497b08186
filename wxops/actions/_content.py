"""How a file's content goes to a host: with the task when it is small, else offered by its digest.

The name begins with `_` because it is no module.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wxops.actions import Call
from wxops.digests import digests, of_bytes
from wxops.errors import InputError, TaskFailed, VaultError
from wxops.playbook.vault import is_encrypted

INLINE = 64 * 1024
"""Content up to this size costs less as a part of the task than a round trip would."""

LARGE = 64 * 1024 * 1024
CHUNK = 1024 * 1024
SHOWN = 256 * 1024
"""The agent shows no larger content in a diff (`agent.content.SMALL`)."""


def find(call: Call, name: str, folder: str) -> Path:
    """A file on the controller, looked for in FOLDER/ of the role and beside the playbook. Raises InputError."""
    return call.find(os.path.expanduser(name), folder)


def read(call: Call, path: Path, decrypt: bool = True) -> Path | bytes:
    """The file itself, or what is in it when it is encrypted with a vault password."""
    try:
        with path.open("rb") as file:
            encrypted = decrypt and is_encrypted(file.read(64))
        if not encrypted:
            return path
        clear = call.templar.vault.decrypt(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except VaultError as error:
        raise TaskFailed(str(error), {}) from None
    if len(clear) <= SHOWN:
        call.templar.secrets.add(clear)
    return clear


def packed(call: Call, content: Path | bytes, inline: int = INLINE) -> dict[str, Any]:
    """Content as the agent's `offered.content_from` takes it."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size <= inline:
        data = content if isinstance(content, bytes) else content.read_bytes()
        return {"base64": base64.b64encode(data).decode()}
    offer = call.offer(content)
    return {"offer": offer.name, "sha256": offer.sha256, "size": offer.size}


def sent_inline(arguments: Any) -> Iterator[bytes]:
    """All content that travels within a task's arguments, as `packed` put it there."""
    if isinstance(arguments, Mapping):
        if isinstance(arguments.get("base64"), str):
            yield base64.b64decode(arguments["base64"])
        for value in arguments.values():
            yield from sent_inline(value)
    elif isinstance(arguments, (list, tuple)):
        for value in arguments:
            yield from sent_inline(value)


def one_file(call: Call, content: Path | bytes, name: str, checked: bool = False) -> dict[str, Any]:
    """One file as the agent's `copy` takes it, with the digests that Ansible returns.

    Without them a large file whose result nobody reads: they take three times as long as the one that we go by.
    checked: the playbook says what the SHA-1 must be.
    """
    if isinstance(content, Path) and content.stat().st_size >= LARGE and not (checked or call.is_registered):
        return {"name": name, "content": packed(call, content)}
    of = of_bytes(content) if isinstance(content, bytes) else digests(content)
    return {"name": name, "content": packed(call, content), "sha1": of.sha1, "md5": of.md5}


def mode_of(path: Path) -> int:
    """What `mode: preserve` means."""
    return path.stat().st_mode & 0o7777


def local_sha1(path: Path) -> str:
    """The digest of a file on the controller; nothing when there is none."""
    return digests(path).sha1 if path.is_file() else ""
