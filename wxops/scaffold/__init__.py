"""A new project: the files in project/, written into an operator's directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from wxops.errors import InputError

_TEMPLATES = {
    "wxops.toml": "wxops.toml",
    "inventories/hosts.yml": "inventories/hosts.yml",
    "inventories/group_vars/all.yml": "inventories/group_vars/all.yml",
    "inventories/group_vars/gpu.yml": "inventories/group_vars/gpu.yml",
    "site.yml": "site.yml",
    "README.md": "README.md",
    ".gitignore": "gitignore",  # under its own name it would hide files of this repository
}
FILES = tuple(_TEMPLATES)


@dataclass(frozen=True, slots=True)
class Written:
    """One file of the project; `outcome` is created, replaced or unchanged."""

    path: Path
    outcome: str


def write_project(directory: Path, force: bool = False) -> list[Written]:
    """Write a new project. Raises InputError, before anything is written, when a file of it is there already.

    With `force` such a file is replaced when its content differs, and the result says so.
    """
    contents = {directory / name: _template(source) for name, source in _TEMPLATES.items()}
    outcomes = {path: _outcome(path, content) for path, content in contents.items()}
    _refuse(directory, outcomes, force)
    try:
        for path, content in contents.items():
            if outcomes[path] != "unchanged":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(error.filename)) from None
    return [Written(path, outcome) for path, outcome in outcomes.items()]


def _template(source: str) -> bytes:
    return files(__name__).joinpath("project", source).read_bytes()


def _outcome(path: Path, content: bytes) -> str:
    if not path.exists():
        return "created"
    return "unchanged" if path.is_file() and path.read_bytes() == content else "replaced"


def _refuse(directory: Path, outcomes: Mapping[Path, str], force: bool) -> None:
    present = [str(path.relative_to(directory)) for path, outcome in outcomes.items() if outcome != "created"]
    if present and not force:
        fix = "choose another directory; --force replaces what differs and keeps what is the same"
        raise InputError(f"already has {', '.join(present)}", where=str(directory), fix=fix)
    for path in outcomes:
        if path.is_dir():
            raise InputError("is a directory where a file belongs", where=str(path))
