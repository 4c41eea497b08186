"""A file put together from the fragments in a directory of the host's."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes, describe
from wxops.agent.backup import back_up
from wxops.agent.content import Content, digest
from wxops.agent.failure import ModuleFailure
from wxops.agent.fragments import joined
from wxops.agent.text_file import pattern
from wxops.agent.tree import names_in
from wxops.agent.validation import validate as run_validation

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change


def assemble(
    change: Change,
    src: Path,
    dest: Path,
    delimiter: Optional[str] = None,
    regexp: Optional[str] = None,
    ignore_hidden: bool = False,
    backup: bool = False,
    validate: Optional[str] = None,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
) -> Dict[str, Any]:
    """The host's part of assemble: the fragments are in a directory of the host's."""
    found = change.file(src, follow=True)["type"]
    if found != "directory":
        raise ModuleFailure("Source (%s) %s" % (src, "does not exist" if found == "absent" else "is not a directory"))
    wanted = pattern(regexp) if regexp is not None else None
    content = Content(joined(_fragments(change, src, wanted, ignore_hidden), delimiter))
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    result = {
        "src": src, "dest": dest, "msg": "OK", "checksum": digest(content.chunks(), "sha1"),
        "md5sum": digest(content.chunks(), "md5"),
    }  # fmt: skip
    result.update(_put(change, dest, content, asked, backup, validate))
    asked.set(change, dest)
    return dict(result, **describe(change, dest))


def _fragments(change: Change, folder: str, wanted: Optional[re.Pattern[str]], ignore_hidden: bool) -> Iterator[bytes]:
    for name in names_in(change, folder):
        if (wanted is not None and not wanted.search(name)) or (ignore_hidden and name.startswith(".")):
            continue
        path = os.path.join(folder, name)
        if change.file(path, follow=True)["type"] == "file":
            yield change.read(path) or b""


def _put(
    change: Change, dest: str, content: Content, asked: Attributes, backup: bool, validate: Optional[str]
) -> Dict[str, Any]:
    now = change.file(dest, follow=True)
    if now["type"] == "directory":
        raise ModuleFailure("%s is a directory: name the file in dest" % dest)
    if now["type"] == "file" and content.same(now["content"]):
        return {}
    if validate is not None:
        run_validation(change, validate, dest, content, asked)
    copy = back_up(change, dest) if backup else None
    change.write(dest, content, asked.mode, asked.owner, asked.group, follow=False)
    return {"backup_file": copy} if copy is not None else {}
