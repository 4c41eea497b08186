"""Filters on paths, on the controller."""

from __future__ import annotations

import glob
import ntpath
import os.path
from collections.abc import Callable, Iterable
from typing import Any

from wxops.playbook.jinja.evaluation import volatile


def fileglob(pattern: str) -> list[str]:
    """The files, not directories, that match."""
    volatile()
    return [path for path in glob.glob(pattern) if os.path.isfile(path)]


def path_join(value: Any) -> str:
    return os.path.join(value) if isinstance(value, str) else os.path.join(*value)


def relpath(path: str, start: str = ".") -> str:
    return os.path.relpath(path, start)


def commonpath(paths: Iterable[str]) -> str:
    if isinstance(paths, str):
        raise TypeError("it takes a list of paths, not a text")
    return os.path.commonpath(list(paths))


FILTERS: dict[str, Callable[..., Any]] = {
    "basename": os.path.basename,
    "commonpath": commonpath,
    "dirname": os.path.dirname,
    "expanduser": os.path.expanduser,
    "expandvars": os.path.expandvars,
    "fileglob": fileglob,
    "normpath": os.path.normpath,
    "path_join": path_join,
    "realpath": os.path.realpath,
    "relpath": relpath,
    "splitext": os.path.splitext,
    "win_basename": ntpath.basename,
    "win_dirname": ntpath.dirname,
    "win_splitdrive": ntpath.splitdrive,
}
