"""A file put together from fragments: those in a directory of the host's, or of the controller's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as LocalPath
from typing import TYPE_CHECKING, Any

from wxops.actions import Call
from wxops.actions._content import find, one_file, read
from wxops.agent.fragments import joined
from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.agent.arguments import Mode, Path

ALIASES = {"attr": "attributes"}
NEEDS = "src and dest are required"


def prepare(
    call: Call,
    src: Path,
    dest: Path,
    remote_src: bool = True,
    delimiter: str | None = None,
    regexp: str | None = None,
    ignore_hidden: bool = False,
    decrypt: bool = True,
    backup: bool = False,
    validate: str | None = None,
    mode: Mode | None = None,
    owner: str | None = None,
    group: str | None = None,
    attributes: str | None = None,
    seuser: str | None = None,
    serole: str | None = None,
    setype: str | None = None,
    selevel: str | None = None,
    unsafe_writes: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Put a file together from all files in a directory, in the order of their names.

    src: the directory with the fragments.
    dest: the file to make of them.
    remote_src: src is on the host; false looks for it in files/ on the controller.
    delimiter: a line between the fragments; its escapes, as \\n, stand for what they do in Python.
    regexp: take only files whose names this regular expression matches somewhere.
    ignore_hidden: leave files out whose names begin with a dot.
    decrypt: open fragments of the controller's that are encrypted with a vault password.
    backup: keep a copy of a file that is replaced, beside it.
    validate: a command that must accept the new file before it takes its place; %s stands for the file.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    placing = {
        "dest": dest, "src": src, "backup": backup, "validate": validate, "mode": mode, "owner": owner, "group": group,
        "attributes": attributes, "seuser": seuser, "serole": serole, "setype": setype, "selevel": selevel,
    }  # fmt: skip
    if remote_src:
        selection = {"delimiter": delimiter, "regexp": regexp, "ignore_hidden": ignore_hidden}
        return "assemble", {**placing, **selection}
    folder = find(call, src, "files")
    if not folder.is_dir():
        raise InputError(f"Source ({src}) is not a directory")
    content = joined(_fragments(call, folder, regexp, ignore_hidden, decrypt), delimiter)
    return "copy", {**placing, "src": str(folder), "_sent": one_file(call, content, folder.name)}


def _fragments(
    call: Call, folder: LocalPath, regexp: str | None, ignore_hidden: bool, decrypt: bool
) -> Iterator[bytes]:
    try:
        wanted = re.compile(regexp or "")
    except re.error as error:
        raise InputError(f"Invalid Regexp ({error}) in {regexp!r}") from None
    for path in sorted(folder.iterdir()):
        if path.is_file() and wanted.search(path.name) and not (ignore_hidden and path.name.startswith(".")):
            found = read(call, path, decrypt)
            yield found if isinstance(found, bytes) else found.read_bytes()
