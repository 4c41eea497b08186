"""Files and trees of the controller's, or of the host's, put in their place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as LocalPath
from typing import TYPE_CHECKING, Any

from wxops.actions import Call
from wxops.actions._content import find, mode_of, one_file, packed, read
from wxops.errors import TaskFailed

if TYPE_CHECKING:
    from wxops.agent.arguments import Mode, Path

ALIASES = {"attr": "attributes"}
NEEDS = "dest is required"
INLINE_IN_A_TREE = 4 * 1024
"""A tree is often there already: only small files travel unasked."""


def prepare(
    call: Call,
    dest: Path,
    src: str | None = None,
    content: Any = None,
    remote_src: bool = False,
    backup: bool = False,
    force: bool = True,
    follow: bool = False,
    local_follow: bool | None = None,
    decrypt: bool = True,
    validate: str | None = None,
    checksum: str | None = None,
    mode: Mode | None = None,
    directory_mode: Mode | None = None,
    owner: str | None = None,
    group: str | None = None,
    attributes: str | None = None,
    seuser: str | None = None,
    serole: str | None = None,
    setype: str | None = None,
    selevel: str | None = None,
    unsafe_writes: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Put a file, or a directory with all it holds, in its place on the host. Only what the host lacks is sent.

    dest: where; a directory when it ends with / or when src is one.
    src: a file or directory of the controller, looked for in files/; of a directory that ends with / only what is in
        it is copied, as with rsync.
    content: text instead of a file; a mapping or list is written as JSON.
    remote_src: src is on the host.
    backup: keep a copy of a file that is replaced, beside it.
    force: replace a file that differs; without it only what is missing is copied.
    follow: write through a link at dest instead of replacing it.
    local_follow: copy what links in src point to. The default for the controller's files, not for the host's.
    decrypt: open a source that is encrypted with a vault password.
    validate: a command that must accept the new file before it takes its place; %s stands for the file.
    checksum: the SHA-1 that the source must have.
    mode: octal in quotes ("0644"), symbolic ("u=rw,g=r") or `preserve`, the source's own.
    directory_mode: of directories; those that exist keep theirs unless src holds them.
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    arguments = {
        "dest": dest, "src": src or "", "remote_src": remote_src, "backup": backup, "force": force, "follow": follow,
        "local_follow": local_follow, "validate": validate, "checksum": checksum, "mode": mode,
        "directory_mode": directory_mode, "owner": owner, "group": group, "attributes": attributes, "seuser": seuser,
        "serole": serole, "setype": setype, "selevel": selevel,
    }  # fmt: skip
    if not src and content is None:
        raise TaskFailed("src (or content) is required", {})
    if src and content is not None:
        raise TaskFailed("src and content are mutually exclusive", {})
    if content is not None:
        if dest.endswith("/"):
            raise TaskFailed("can not use content with a dir as dest", {})
        sent = one_file(call, _text(content), "")
        return "copy", {**arguments, "_sent": {**sent, "text": True}}
    if remote_src:
        return "copy", arguments
    path = find(call, str(src), "files")
    arguments["src"] = str(path)
    if path.is_dir():
        tree = _tree(path, str(src).endswith("/"), local_follow is not False)
        arguments["_entries"] = [_packed(call, entry, mode, decrypt) for entry in tree]
    else:
        arguments["_sent"] = one_file(call, read(call, path, decrypt), path.name, checksum is not None)
    if mode == "preserve":
        arguments["mode"] = mode_of(path) if path.is_file() else None
    return "copy", arguments


def _text(content: Any) -> bytes:
    text = json.dumps(content) if isinstance(content, dict | list) else str(content)
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Entry:
    """Something in a tree: `path` relative to dest; a link has its `target`, a file its `source`."""

    path: str
    source: LocalPath | None = None
    target: str | None = None


def _packed(call: Call, entry: Entry, mode: Any, decrypt: bool) -> dict[str, Any]:
    if entry.target is not None:
        return {"path": entry.path, "target": entry.target}
    if entry.source is None:
        return {"path": entry.path}
    sent = packed(call, read(call, entry.source, decrypt), INLINE_IN_A_TREE)
    own_mode = {"mode": mode_of(entry.source)} if mode == "preserve" else {}
    return {"path": entry.path, "content": sent, **own_mode}


def _tree(top: LocalPath, inside: bool, follow: bool) -> list[Entry]:
    """A directory as entries: files, then directories, then links. `inside`: without the directory's own name."""
    base = "" if inside else top.name
    if top.is_symlink() and not follow and not inside:
        return [Entry(base, target=str(top.readlink()))]
    entries = _walk(top, base, follow, (_identity(top),))
    return sorted(entries, key=lambda entry: (entry.target is not None, entry.source is None, entry.path))


def _walk(folder: LocalPath, base: str, follow: bool, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    """All below a folder. A link to a directory that the walk is in stays a link."""
    for child in folder.iterdir():
        path = os.path.join(base, child.name)
        if child.is_symlink() and not (follow and child.exists() and _identity(child) not in above):
            yield Entry(path, target=str(child.readlink()))
        elif child.is_dir():
            yield Entry(path)
            yield from _walk(child, path, follow, (*above, _identity(child)))
        else:
            yield Entry(path, source=child)


def _identity(path: LocalPath) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
