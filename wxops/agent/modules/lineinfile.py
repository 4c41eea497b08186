"""One line of a text file: there or not, in its place, replaced or removed by a pattern."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.text_file import TextFile, encoded, pattern

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Literal, Match, Optional, Tuple

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

    Lines = List[bytes]
    Finder = Callable[[bytes], Optional[Match[bytes]]]

ALIASES = {"dest": "path", "destfile": "path", "name": "path", "regex": "regexp", "value": "line", "attr": "attributes"}


def lineinfile(
    change: Change,
    path: Path,
    state: Literal["absent", "present"] = "present",
    line: Optional[str] = None,
    regexp: Optional[str] = None,
    search_string: Optional[str] = None,
    insertafter: Optional[str] = None,
    insertbefore: Optional[str] = None,
    backrefs: bool = False,
    firstmatch: bool = False,
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
    """Keep one line in a text file, or keep it out.

    path: the file.
    state: present puts the line there; absent removes every line that matches.
    line: the line, without its newline.
    regexp: a Python regular expression; the last line that matches is replaced, or all that match are removed.
    search_string: the same with literal text.
    insertafter: when nothing is replaced: after the last line that matches this expression, or EOF (the default).
    insertbefore: when nothing is replaced: before the last line that matches this expression, or BOF.
    backrefs: `line` may refer to groups of `regexp`; a file without a match is left alone.
    firstmatch: the first line that matches instead of the last.
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
    _refuse_together(insertbefore=insertbefore, insertafter=insertafter)
    _refuse_together(regexp=regexp, search_string=search_string)
    _refuse_together(backrefs=backrefs or None, search_string=search_string)
    if "" in (regexp, search_string):
        change.warnings.append("an empty regexp or search_string matches every line; write '^' if that is meant")
    if state == "present" and line is None:
        raise ModuleFailure("line is required with state=present")
    if state == "present" and backrefs and regexp is None:
        raise ModuleFailure("regexp is required with backrefs=true")
    if (line, regexp, search_string) == (None, None, None):
        raise ModuleFailure("one of line, search_string, or regexp is required with state=absent")
    file = TextFile(change, path, Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel))
    find = _finder(regexp, search_string)
    if state == "absent":
        return _absent(file, find or _is_line(encoded(line or "")), validate, backup)
    if file.before is None and not create:
        if change.may_come_with_a_package(path):
            return change.untold(path)
        raise ModuleFailure("Destination %s does not exist ! (`create: true` makes it)" % path, rc=257)
    lines, message = present(
        _lines(file), encoded(line or ""), find, Anchor(insertafter, insertbefore, firstmatch), backrefs
    )
    return _result(file.save(b"".join(lines) if message else None, message, validate, backup))


class Anchor:
    """Where a new line goes: beside the last (or first) line that matches, else to an end of the file."""

    def __init__(self, after: Optional[str], before: Optional[str], first: bool) -> None:
        self.first = first
        self.top = "BOF" in (after, before)
        self.after = bool(after)
        text = after or before
        self.pattern = None if self.top or not text or after == "EOF" else pattern(encoded(text))

    def beside(self, line: bytes) -> bool:
        return self.pattern is not None and self.pattern.search(line) is not None


def present(lines: Lines, line: bytes, find: Optional[Finder], anchor: Anchor, backrefs: bool) -> Tuple[Lines, str]:
    """The lines with that line in them, and what was done: "line added", "line replaced" or nothing."""
    at, match = _find(lines, find, anchor.first) if find is not None else (None, None)
    position = None
    if at is None:
        at, position = _look_around(lines, line, anchor)
    if at is not None:
        new = _expanded(match, line) if backrefs and match is not None else line
        new += b"" if new.endswith(b"\n") else b"\n"
        return (lines, "") if lines[at] == new else ([*lines[:at], new, *lines[at + 1 :]], "line replaced")
    if backrefs:
        return lines, ""
    if anchor.top:
        return [line + b"\n", *lines], "line added"
    if position is None:
        position = len(lines)
    elif anchor.after and position < len(lines) and lines[position].rstrip(b"\r\n") == line:
        return lines, ""
    return [*_ended(lines[:position]), line + b"\n", *lines[position:]], "line added"


def _expanded(match: Match[bytes], line: bytes) -> bytes:
    try:
        return match.expand(line)
    except (re.error, IndexError) as error:
        raise ModuleFailure("the line cannot be filled in: %s" % error) from None


def _find(lines: Lines, find: Finder, first: bool) -> Tuple[Optional[int], Optional[Match[bytes]]]:
    """The last line that is looked for, or the first."""
    at, found = None, None
    for number, line in enumerate(lines):
        match = find(line)
        if match is not None:
            at, found = number, match
            if first:
                break
    return at, found


def _look_around(lines: Lines, line: bytes, anchor: Anchor) -> Tuple[Optional[int], Optional[int]]:
    """Where the very line stands, and where it would be inserted."""
    at, position = None, None
    for number, each in enumerate(lines):
        if each.rstrip(b"\r\n") == line:
            at = number
        elif anchor.beside(each):
            position = number + 1 if anchor.after else number
            if anchor.first:
                break
    return at, position


def _finder(regexp: Optional[str], search_string: Optional[str]) -> Optional[Finder]:
    """What gives a match for a line that is looked for; None when only the line itself says which."""
    if regexp is not None:
        return pattern(encoded(regexp)).search
    if search_string is not None:
        return pattern(re.escape(encoded(search_string))).search
    return None


def _is_line(line: bytes) -> Finder:
    return pattern(b"^" + re.escape(line) + b"[\r\n]*$").search


def _absent(file: TextFile, find: Finder, validate: Optional[str], backup: bool) -> Dict[str, Any]:
    if file.before is None:
        return {"msg": "file not present"}
    lines = _lines(file)
    kept = [line for line in lines if find(line) is None]
    found = len(lines) - len(kept)
    message = "%d line(s) removed" % found if found else ""
    return _result(file.save(b"".join(kept), message, validate, backup), found=found)


def _result(result: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    """Ansible's lineinfile, alone of all modules, calls it `backup`, and gives it always."""
    return dict(result, backup=result.pop("backup_file", ""), **more)


def _lines(file: TextFile) -> Lines:
    return io.BytesIO(file.before or b"").readlines()


def _ended(lines: Lines) -> Lines:
    """The lines, the last one with its newline."""
    return [*lines[:-1], lines[-1] + b"\n"] if lines and not lines[-1].endswith((b"\n", b"\r")) else lines


def _refuse_together(**arguments: Any) -> None:
    if all(value is not None for value in arguments.values()):
        raise ModuleFailure("parameters are mutually exclusive: %s" % "|".join(arguments))
