"""How the modules that edit a text file read it and put it back: validated, backed up, in one atomic step."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.backup import back_up
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import umask
from wxops.agent.validation import validate

if TYPE_CHECKING:
    from typing import Any, AnyStr, Dict, Optional, Pattern

    from wxops.agent.attributes import Attributes
    from wxops.agent.change import Change
    from wxops.agent.resources import State

    Result = Dict[str, Any]

ATTRIBUTES_CHANGED = "ownership, perms or SE linux context changed"  # Ansible's words, which playbooks look for


class TextFile:
    """A file that may or may not be there, as it was before the task."""

    def __init__(self, change: Change, path: str, attributes: Attributes) -> None:
        self.change, self.path, self.attributes = change, path, attributes
        self.before: Optional[bytes] = None
        """None when there is no file."""
        self.now = change.file(path, follow=True)
        if self.now["type"] == "directory":
            raise ModuleFailure("Path %s is a directory !" % path, rc=256)
        if self.now["type"] == "file":
            self.before = self.now["content"].read()
        elif self.now["type"] != "absent":
            raise ModuleFailure("%s is a %s, not a file" % (path, self.now["type"]), rc=256)

    def save(self, data: Optional[bytes], message: str, validation: Optional[str], backup: bool) -> Result:
        """Write the new content, unless it is None or was there before, and the attributes.

        Returns `msg` and, when a copy was kept, `backup_file`.
        """
        result: Result = {}
        link = self.change.file(self.path)["type"] == "link"
        if data is not None and data != self.before:
            if validation is not None:
                validate(self.change, validation, self.path, Content(data), self.attributes)
            copy = back_up(self.change, self.path) if backup else None
            if copy is not None:
                result["backup_file"] = copy
            self._write(data, with_attributes=not link)
        said = [message] if message else []
        if self._set_attributes(link):
            said.append(ATTRIBUTES_CHANGED)
        return dict(result, msg=" and ".join(said))

    def _write(self, data: bytes, with_attributes: bool) -> None:
        """A new file has its mode from the first byte on; its missing directories are made."""
        path = self.change.real(self.path)
        make_directories(self.change, os.path.dirname(path))
        asked = self.attributes
        if with_attributes:
            self.change.write(path, data, asked.mode, asked.owner, asked.group)
        else:
            self.change.write(path, data)

    def _set_attributes(self, link: bool) -> bool:
        """Does that change them? As Ansible's, those of a link go to the link itself."""
        if link:
            count = len(self.change.diffs)
            self.attributes.set(self.change, self.path)
            return len(self.change.diffs) > count
        before = self.now if self.before is not None else _new_file()
        wanted = self.attributes.numbers(self.change, before)
        if self.before is None and self.change.file(self.path)["type"] == "absent":
            return False
        count = len(self.change.diffs)
        self.attributes.set(self.change, self.path)
        return len(self.change.diffs) > count or any(before[name] != value for name, value in wanted.items())


def _new_file() -> State:
    return {"type": "file", "mode": 0o666 & ~umask(), "uid": os.geteuid(), "gid": os.getegid()}


def make_directories(change: Change, path: str) -> None:
    """A directory and its parents, with the mode that mkdir gives."""
    if change.file(path, follow=True)["type"] == "absent":
        make_directories(change, os.path.dirname(path))
        change.set("file", change.real(path), change.new_directory())


def pattern(text: AnyStr, flags: int = 0) -> Pattern[AnyStr]:
    """A regular expression of the operator's."""
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise ModuleFailure("%r is no regular expression: %s" % (text, error)) from None


def encoded(text: str) -> bytes:
    """As it stood in the file: bytes that are no UTF-8 come through JSON as surrogates."""
    return text.encode("utf-8", "surrogateescape")
