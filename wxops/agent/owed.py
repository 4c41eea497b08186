"""Handlers that this host is owed: something was changed, and what is to follow has not been done yet.

A file for each, owed/HOST/NAME below the state directory. It is there, synced, before the change itself, so that
neither a failure nor a kill at any instant loses it; the next run of the play reads it in HELLO.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from wxops.agent.folder import sync_directory
from wxops.agent.journal import state_directory

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    Entry = Dict[str, Any]


def note(host: str, run: str, task: str, play: str, names: List[str]) -> None:
    """These handlers of a play are to run on this host (by its name in the inventory). Raises OSError."""
    folder = _folder(host)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for name in names:
        path = _path(host, play, name)
        if os.path.exists(path):
            continue
        entry = {"host": host, "run": run, "task": task, "play": play, "name": name}
        descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(descriptor)
        os.rename(path + ".new", path)
        sync_directory(folder)


def done(host: str, play: str, names: List[str]) -> None:
    """These have run, or are not to run any more."""
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(_path(host, play, name))


def of_host(host: str) -> Dict[str, Dict[str, Entry]]:
    """Play -> handler -> which run and task left it."""
    found: Dict[str, Dict[str, Entry]] = {}
    for _, entry in _entries(_folder(host)):
        found.setdefault(entry["play"], {})[entry["name"]] = {"run": entry["run"], "task": entry["task"]}
    return found


def forget(run: str) -> None:
    """A run was taken back: nothing is left of it that something had to follow."""
    for folder, _, _ in os.walk(os.path.join(state_directory(), "owed")):
        for path, entry in _entries(folder):
            if entry["run"] == run:
                with contextlib.suppress(OSError):
                    os.unlink(path)


def _entries(folder: str) -> Iterator[Tuple[str, Entry]]:
    """Those that can be read; one that a crash cut short is none, for the change that it is of never began."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
            yield path, json.load(file)


def _folder(host: str) -> str:
    return os.path.join(state_directory(), "owed", host.replace("/", "_").lstrip(".") or "_")


def _path(host: str, play: str, name: str) -> str:
    import hashlib  # only who notes something needs it

    return os.path.join(_folder(host), hashlib.sha256(json.dumps([play, name]).encode()).hexdigest()[:32])
