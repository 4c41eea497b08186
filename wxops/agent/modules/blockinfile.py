"""A block of lines in a text file, between two marker lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.text_file import TextFile, encoded, pattern

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

    Lines = List[bytes]

ALIASES = {"dest": "path", "destfile": "path", "name": "path", "content": "block", "attr": "attributes"}


def blockinfile(
    change: Change,
    path: Path,
    state: Literal["absent", "present"] = "present",
    block: str = "",
    marker: str = "# {mark} ANSIBLE MANAGED BLOCK",
    marker_begin: str = "BEGIN",
    marker_end: str = "END",
    insertafter: Optional[str] = None,
    insertbefore: Optional[str] = None,
    append_newline: bool = False,
    prepend_newline: bool = False,
    create: bool = False,
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
    unsafe_writes: bool = False,
) -> Dict[str, Any]:
    """Keep a block of lines in a text file, between marker lines, or keep it out.

    path: the file.
    state: present puts the block there; absent removes it with its markers.
    block: the lines; an empty block is removed.
    marker: the line before and after the block; {mark} stands for marker_begin and marker_end.
    marker_begin: the word in the first marker.
    marker_end: the word in the last marker.
    insertafter: for a new block: after the last line that matches this regular expression, or EOF (the default).
        An expression with (?m) is matched against the whole text.
    insertbefore: for a new block: before the last line that matches this regular expression, or BOF.
    append_newline: an empty line after the block, unless it ends the file.
    prepend_newline: an empty line before the block, unless it begins the file.
    create: make the file, and its directories, when it is missing.
    backup: keep a copy of the file as it was, beside it.
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
    if insertbefore is not None and insertafter is not None:
        raise ModuleFailure("parameters are mutually exclusive: insertbefore|insertafter")
    file = TextFile(change, path, Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel))
    if file.before is None and not create:
        if change.may_come_with_a_package(path):
            return change.untold(path)
        raise ModuleFailure("Path %s does not exist ! (`create: true` makes it)" % path, rc=257)
    if file.before is None and state == "absent":
        return {"msg": "File %s not present" % path}
    markers = Markers(marker, marker_begin, marker_end)
    inner = encoded(block) if state == "present" else b""
    lines = (file.before or b"").splitlines(True)
    at = markers.remove(lines)
    if at is None:
        at = place(lines, insertafter, insertbefore)
    if at > 0 and not lines[at - 1].endswith(b"\n"):
        lines[at - 1] += b"\n"
    if state == "present" and prepend_newline and at > 0 and lines[at - 1] != b"\n":
        lines.insert(at, b"\n")
        at += 1
    put = markers.around(inner)
    lines[at:at] = put
    end = at + len(put)
    if state == "present" and append_newline and end < len(lines) and lines[end] != b"\n":
        lines.insert(end, b"\n")
    data = b"".join(lines)
    return file.save(data, _message(file.before, data, bool(put)), validate, backup)


class Markers:
    """The two lines around a block."""

    def __init__(self, marker: str, begin: str, end: str) -> None:
        self.begin = encoded(marker.replace("{mark}", begin)) + b"\n"
        self.end = encoded(marker.replace("{mark}", end)) + b"\n"

    def remove(self, lines: Lines) -> Optional[int]:
        """Take the block, markers and all, out of the lines; where it was, or None when there is none."""
        begins = [number for number, line in enumerate(lines) if line == self.begin]
        ends = [number for number, line in enumerate(lines) if line == self.end]
        if not begins or not ends:
            return None
        first, last = sorted((begins[-1], ends[-1]))
        del lines[first : last + 1]
        return first

    def around(self, block: bytes) -> Lines:
        if not block:
            return []
        inner = block if block.endswith(b"\n") else block + b"\n"
        return [self.begin, *inner.splitlines(True), self.end]


def place(lines: Lines, insertafter: Optional[str], insertbefore: Optional[str]) -> int:
    """Before which line a new block goes."""
    text = insertafter or insertbefore
    if insertbefore == "BOF":
        return 0
    if text is None or insertafter == "EOF":
        return len(lines)
    expression = pattern(encoded(text))
    if expression.flags & re.MULTILINE:
        whole = b"".join(lines)
        match = expression.search(whole)
        found = whole.count(b"\n", 0, match.end() if insertafter else match.start()) if match else None
    else:
        found = max((number for number, line in enumerate(lines) if expression.search(line)), default=None)
    if found is None:
        return len(lines)
    return min(found + 1, len(lines)) if insertafter else found


def _message(before: Optional[bytes], after: bytes, block: bool) -> str:
    if before == after:
        return ""
    if before is None:
        return "File created"
    return "Block inserted" if block else "Block removed"
