"""Finding a role and reading its parts: tasks, handlers, defaults, vars, dependencies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook import keywords, source
from wxops.playbook.role_names import is_of_a_collection
from wxops.playbook.signature import boolean
from wxops.playbook.source import SourceDict, SourceList

SUFFIXES = (".yml", ".yaml", ".json", "")
GALAXY = ("src", "scm", "version", "name")
"""What an entry of `dependencies` says to ansible-galaxy when it has a source."""


@dataclass(frozen=True)
class Places:
    """Where roles are looked for: roles by their name, and collections with roles in them."""

    roles: Sequence[Path]
    collections: Sequence[Path] = ()

    def find(self, name: str, where: Origin | None, of: Sequence[str] = ()) -> tuple[str, Path]:
        """(the role's name, its directory). Raises InputError with where it was looked for.

        of: the collections in which a short name is looked for first.
        """
        if is_of_a_collection(name):
            found = self._in_collection(name)
            if found is None:
                fix = f"looked in {_listed(self.collections)}; `ansible-galaxy collection install` puts it there"
                raise InputError(f"there is no role {name!r}", where=where, fix=fix)
            return name, found
        for full in filter(is_of_a_collection, (f"{collection}.{name}" for collection in of)):
            if found := self._in_collection(full):
                return full, found
        for folder in [*self.roles, Path("/")] if name.startswith("/") else self.roles:
            if (folder / name).is_dir():
                return Path(name).name, (folder / name).resolve()
        raise InputError(f"there is no role {name!r}", where=where, fix=f"looked in {_listed(self.roles)}")

    def has_collection(self, name: str) -> bool:
        """Is a collection of this name there?"""
        return any((base / name.replace(".", "/", 1)).is_dir() for base in self._bases())

    def _in_collection(self, name: str) -> Path | None:
        namespace, collection, role = name.split(".")
        paths = (base / namespace / collection / "roles" / role for base in self._bases())
        return next((path.resolve() for path in paths if path.is_dir()), None)

    def _bases(self) -> Iterator[Path]:
        for path in self.collections:
            yield path if path.name == "ansible_collections" else path / "ansible_collections"


def own_collection(name: str) -> tuple[str, ...]:
    """Where the dependencies of a role are looked for by their short names."""
    return (name.rpartition(".")[0],) if is_of_a_collection(name) else ()


def collections(role: Path) -> tuple[str, ...]:
    """Where else the roles that its tasks name are looked for."""
    said = meta(role).get("collections") or []
    return tuple(map(str, said if isinstance(said, SourceList) else [said]))


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


def part(role: Path, folder: str, name: str = "main") -> Path | None:
    """role/tasks/main.yml and the like; None when there is none."""
    stem = role / folder / name
    if not os.path.normpath(stem).startswith(os.path.normpath(role / folder) + os.sep):
        raise InputError(f"{name} is not taken, as it is not inside the expected role path {role / folder}")
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
    if found is None:
        return {}
    if not isinstance(found, SourceDict):
        raise InputError("meta of a role should be a mapping", where=str(path))
    keywords.check(found, keywords.META, "role's meta")
    return found


def allows_duplicates(role: Path) -> bool:
    """May a role run again in a play with the same parameters?"""
    said = meta(role)
    try:
        return boolean(said.get("allow_duplicates") or False)
    except ValueError as error:
        raise InputError(f"allow_duplicates {error}", where=getattr(said, "origin", None)) from None


def included_with(variables: Mapping[str, Any] | None) -> str:
    """What tells one include or import of a role from another: the variables that stand beside it."""
    return f"included with {dict(variables or {})!r}"


def dependencies(role: Path) -> list[Any]:
    """The roles that meta/main.yml says must run first."""
    said = meta(role)
    found = said.get("dependencies")
    if not found:
        return []
    if not isinstance(found, SourceList):
        raise InputError("dependencies of a role should be a list", where=getattr(found, "origin", str(role)))
    return [_named(entry) for entry in found]


def _named(entry: Any) -> Any:
    """An entry as galaxy writes it has a source: its last part is the name, if there is no other."""
    if not isinstance(entry, SourceDict) or "src" not in entry or "role" in entry:
        return entry
    named = SourceDict(entry.origin)
    named.update({key: value for key, value in entry.items() if key not in GALAXY})
    named.keys_at.update(entry.keys_at)
    source_name = str(entry["src"]).rpartition("/")[2].partition(",")[0]
    named.setdefault("role", entry.get("name") or source_name.removesuffix(".git").removesuffix(".tar.gz"))
    return named
