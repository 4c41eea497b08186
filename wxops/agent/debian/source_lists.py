"""The one-line sources of apt (sources.list and sources.list.d/*.list): read, changed and written back."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.tree import names_in

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    from wxops.agent.arguments import Mode
    from wxops.agent.change import Change
    from wxops.agent.resources import State

MAIN, FOLDER = "/etc/apt/sources.list", "/etc/apt/sources.list.d"
TYPES = ("deb", "deb-src")


class Line:
    """A line of a list. `source` has single blanks when it is `valid`, that is, names a repository."""

    def __init__(self, text: str) -> None:
        text = text.strip()
        self.enabled = not text.startswith("#")
        text = text if self.enabled else text[1:]
        mark = text.find("#")
        source, self.comment = (text[:mark], text[mark + 1 :].strip()) if mark > 0 else (text, "")
        words = source.split()
        self.valid = bool(words) and words[0] in TYPES
        self.source = " ".join(words) if self.valid else source.strip()

    def __str__(self) -> str:
        comment = " # " + self.comment if self.comment else ""
        return ("" if self.enabled else "# ") + self.source + comment + "\n"


class SourceLists:
    """All lists of the host, as earlier tasks left them or in a check would have left them."""

    def __init__(self, change: Change) -> None:
        self._change = change
        names = [MAIN, *(os.path.join(FOLDER, name) for name in names_in(change, FOLDER) if name.endswith(".list"))]
        self.files: Dict[str, List[Line]] = {}
        for path in names:
            data = change.read(path)
            if data is not None:
                self.files[path] = [Line(text) for text in data.decode("utf-8", "surrogateescape").splitlines()]
        self._before = self._texts()
        self._extended: Set[str] = set()
        self._states: Dict[str, State] = {}

    def add(self, source: str, path: str) -> None:
        """Turn it on wherever it stands already, turned off or not; else write it at the end of that file."""
        found = [line for lines in self.files.values() for line in lines if line.valid and line.source == source]
        for line in found:
            line.enabled = True
        if not found:
            self.files.setdefault(path, []).append(Line(source))
            self._extended.add(path)

    def remove(self, source: str) -> None:
        for path, lines in self.files.items():
            self.files[path] = [line for line in lines if not _is(line, source)]

    def put_back(self) -> None:
        """The files as they were, after `save`."""
        for path, state in self._states.items():
            self._change.set("file", path, state)

    def save(self, mode: Optional[Mode]) -> Dict[str, List[str]]:
        """Write the files that differ; the names of those that came and went.

        mode: of a file that a source was added to. A file without a line goes.
        """
        now = self._texts()
        for path in sorted(now):
            if now[path] == self._before.get(path, ""):
                continue
            place = self._change.real(path) if now[path] else self._change.place(path)
            self._states[place] = self._change.file(place)
            if now[path]:
                self._write(path, now[path], mode)
            else:
                self._change.set("file", self._change.place(path), {"type": "absent"})
        came = sorted(path for path in now if now[path] and path not in self._before)
        return {"added": came, "removed": sorted(path for path in now if not now[path] and self._before.get(path))}

    def _write(self, path: str, text: str, mode: Optional[Mode]) -> None:
        make_folder(self._change, os.path.dirname(path))
        data = text.encode("utf-8", "surrogateescape")
        self._change.write(path, data, mode if path in self._extended else None)

    def _texts(self) -> Dict[str, str]:
        return {path: "".join(map(str, lines)) for path, lines in self.files.items()}


def valid_source(text: str) -> str:
    """A source line that may be added or removed. Raises ModuleFailure for one that apt would not take."""
    line = Line(text)
    if not (line.valid and line.enabled):
        raise ModuleFailure("Invalid repository string: %s (write: deb [options] URL SUITE COMPONENT...)" % text)
    return line.source


def file_for(source: str, name: Optional[str]) -> str:
    """The list in which a new source is put: named after its URL, without protocol and login."""
    if name is None:
        place = re.sub(r"\w+://", "", re.sub(r"\[[^\]]+\]", "", source))
        words = [word for word in place.split() if word not in TYPES]
        words = words[:1] or [""]
        name = "_".join(re.sub("[^a-zA-Z0-9]", " ", words[0].split("@", 1)[-1]).split())
    path = name + ".list"
    return path if "/" in path else os.path.join(FOLDER, path)


def make_folder(change: Change, path: str) -> None:
    if change.file(path, follow=True)["type"] == "absent":
        make_folder(change, os.path.dirname(path))
        change.set("file", change.real(path), change.new_directory("0755"))


def _is(line: Line, source: str) -> bool:
    return line.valid and line.enabled and line.source == source
