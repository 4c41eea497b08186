"""Every match of a pattern in a text file, replaced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.text_file import TextFile, pattern

if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"dest": "path", "destfile": "path", "name": "path", "attr": "attributes"}


def replace(
    change: Change,
    path: Path,
    regexp: str,
    replace: str = "",
    after: Optional[str] = None,
    before: Optional[str] = None,
    encoding: str = "utf-8",
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
    """Replace every match of a regular expression in a text file.

    path: the file, which must exist.
    regexp: a Python regular expression; ^ and $ match at each line.
    replace: what takes its place; \\1 and \\g<name> stand for groups. Nothing removes the match.
    after: only in the text after the first match of this expression; . matches newlines in it.
    before: only in the text before the first match of this expression; . matches newlines in it.
    encoding: of the file.
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
    search = pattern(regexp, re.MULTILINE)
    _require_fitting(search, replace)
    file = TextFile(change, path, Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel))
    if file.before is None:
        if change.may_come_with_a_package(path):
            return change.untold(path)
        raise ModuleFailure("Path %s does not exist !" % path, rc=257)
    text = _decoded(file.before, encoding, path)
    section = _section(text, after, before)
    if section is None:
        said = "Pattern for before/after params did not match the given file: %s" % _bounds(after, before)
        return {"rc": 0, "msg": said}
    start, end = section
    try:
        new, count = search.subn(replace, text[start:end])
    except (re.error, IndexError) as error:
        raise _unfitting(error) from None
    changed = new != text[start:end]
    data = (text[:start] + new + text[end:]).encode(encoding, "surrogateescape") if changed else None
    message = "%d replacements made" % count if changed else ""
    return dict(file.save(data, message, validate, backup), rc=0)


def _require_fitting(search: Any, replace: str) -> None:
    """What takes a match's place must be right whether or not there is a match."""
    try:
        search.sub(replace, "")
    except (re.error, IndexError) as error:
        raise _unfitting(error) from None


def _unfitting(error: Exception) -> ModuleFailure:
    return ModuleFailure("Unable to process replace due to error: %s" % error)


def _bounds(after: Optional[str], before: Optional[str]) -> str:
    """The expression whose group `subsection` is the text to work on."""
    if after and before:
        return "%s(?P<subsection>.*?)%s" % (after, before)
    return "%s(?P<subsection>.*)" % after if after else "(?P<subsection>.*)%s" % before


def _section(text: str, after: Optional[str], before: Optional[str]) -> Optional[Tuple[int, int]]:
    """Where in the text to replace; None when `after` and `before` are not found."""
    if not (after or before):
        return 0, len(text)
    match = pattern(_bounds(after, before), re.DOTALL).search(text)
    if match is None:
        return None
    if match.group("subsection") is None:
        raise ModuleFailure("after/before matched without a text beside it: put alternatives in brackets, (?:a|b)")
    return match.span("subsection")


def _decoded(data: bytes, encoding: str, path: str) -> str:
    try:
        return data.decode(encoding, "surrogateescape")
    except (UnicodeError, LookupError) as error:
        raise ModuleFailure("%s cannot be read as %s: %s" % (path, encoding, error)) from None
