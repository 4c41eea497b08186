"""Finding a role and reading its parts: tasks, handlers, defaults, vars, dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook import source

SUFFIXES = (".yml", ".yaml", ".json", "")


def find(name: str, search: Sequence[Path], where: Origin | None) -> Path:
    """The directory of a role. Raises InputError with where it was looked for."""
    for folder in [*search, Path("/")] if name.startswith("/") else search:
        if (folder / name).is_dir():
            return folder / name
    looked = ", ".join(str(folder) for folder in search)
    raise InputError(f"there is no role {name!r}", where=where, fix=f"looked in {looked}")


def part(role: Path, folder: str, name: str = "main") -> Path | None:
    """role/tasks/main.yml and the like; None when there is none."""
    stem = role / folder / name
    candidates = (
        [stem] if stem.suffix in (".yml", ".yaml", ".json") else [stem.with_name(stem.name + s) for s in SUFFIXES]
    )
    return next((path for path in candidates if path.is_file()), None)


Read = Callable[[Path], Mapping[str, Any]]
"""Reads a file of variables."""


def variables(role: Path, folder: str, name: str, read: Read) -> dict[str, Any]:
    """A role's vars/ or defaults/: the file main.yml, or all files of a directory main/."""
    directory = role / folder / name
    file = part(role, folder, name)
    files = sorted(directory.glob("**/*.y*ml")) if directory.is_dir() else [file] if file else []
    found: dict[str, Any] = {}
    for path in files:
        found.update(read(path))
    return found


def meta(role: Path) -> Mapping[str, Any]:
    """What meta/main.yml says of a role."""
    path = part(role, "meta")
    found = source.load_file(path) if path else None
    if found is not None and not isinstance(found, dict):
        raise InputError("meta of a role should be a mapping", where=str(path))
    return found or {}


def dependencies(role: Path) -> list[Any]:
    """The roles that meta/main.yml says must run first."""
    return list(meta(role).get("dependencies") or [])
