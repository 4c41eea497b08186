"""The files that git is about to change, kept in the journal, so that a rollback brings back each of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wxops.agent.resources import file as files

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List

    from wxops.agent.change import Change
    from wxops.agent.journal import Journal

    Saved = Dict[str, Any]

OBJECTS = "objects"
"""git's folders of this name only ever get more files, which are taken away by name."""


def take(folders: Iterable[str], paths: Iterable[str], journal: Journal) -> Saved:
    """Everything below these folders, but for objects, and these paths, which are there or not."""
    os.makedirs(journal.directory, mode=0o700, exist_ok=True)
    whole = {}
    for folder in folders:
        inside = [path for path in _below(folder) if os.path.basename(path) != OBJECTS]
        whole[folder] = {path: _saved(path, journal) for path in inside}
    return {"whole": whole, "paths": {path: _saved(path, journal) for path in paths},
            "record": "git-" + os.urandom(8).hex()}  # fmt: skip


def objects(folder: str) -> List[str]:
    """All below the folders for objects, and those folders."""
    found = []
    for place, names, inside in os.walk(folder):
        if OBJECTS in os.path.relpath(place, folder).split(os.sep):
            found += [os.path.join(place, name) for name in [*names, *inside]]
        elif OBJECTS in names:
            found.append(os.path.join(place, OBJECTS))
    return found


def write_record(path: str, new: Iterable[str]) -> None:
    """Which objects came: without it, after a kill, they stay, where they do no harm."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(sorted(new), file)
        file.flush()
        os.fsync(file.fileno())


def put_back(change: Change, saved: Saved, journal: Journal) -> None:
    """Each file as it was; what came since is gone, deepest first."""
    wanted: Saved = dict(saved["paths"])
    for folder, inside in saved["whole"].items():
        wanted.update(inside)
        wanted.update((path, files.ABSENT) for path in _below(folder)
                      if path not in inside and os.path.basename(path) != OBJECTS)  # fmt: skip
    wanted.update((path, files.ABSENT) for path in _recorded(journal.path(saved["record"])))
    for path in sorted(wanted):
        if wanted[path]["type"] != "absent":
            change.set("file", path, files.KIND.load(wanted[path], journal))
    for path in sorted(wanted, reverse=True):
        if wanted[path]["type"] == "absent" and not _is_full(path):
            change.set("file", path, files.ABSENT)


def _saved(path: str, journal: Journal) -> Saved:
    state = files.KIND.read(path, None)  # type: ignore[arg-type]  # reading a file asks no other state
    if state["type"] in ("absent", "directory"):
        return state
    return files.KIND.save(path, state, files.ABSENT, journal)


def _below(folder: str) -> Iterator[str]:
    """All below a folder, without what is in folders for objects."""
    for place, names, inside in os.walk(folder):
        yield from (os.path.join(place, name) for name in [*names, *inside])
        names[:] = [name for name in names if name != OBJECTS]


def _is_full(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and bool(os.listdir(path))


def _recorded(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8") as file:
            found: List[str] = json.load(file)
            return found
    except FileNotFoundError:
        return []
