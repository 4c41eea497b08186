"""What a directory holds, with what earlier tasks of a check would have put there or taken away."""

from __future__ import annotations

import fnmatch
import glob
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator, List

    from wxops.agent.change import Change


def names_in(change: Change, folder: str) -> List[str]:
    """The names in a directory, sorted; none when there is no such directory."""
    folder = change.real(folder)
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if change.view.overlay:
        names |= {os.path.basename(path) for path in change.view.pending("file") if os.path.dirname(path) == folder}
        names = {name for name in names if change.state("file", os.path.join(folder, name))["type"] != "absent"}
    return sorted(names)


def walk(change: Change, folder: str) -> Iterator[str]:
    """The paths of all that is below a directory, parents first, without following links."""
    for name in names_in(change, folder):
        path = os.path.join(folder, name)
        yield path
        if change.file(path)["type"] == "directory":
            yield from walk(change, path)


def matching(change: Change, pattern: str) -> bool:
    """Does anything match this absolute path or glob?"""
    parts = pattern.split("/")
    would_be = [path for path in change.view.pending("file") if _matches(path.split("/"), parts)]
    return any(change.file(path)["type"] != "absent" for path in glob.glob(pattern) + would_be)


def _matches(path: List[str], pattern: List[str]) -> bool:
    return len(path) == len(pattern) and all(map(fnmatch.fnmatchcase, path, pattern))
