"""Loads variables from a file or a directory on the controller."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from wxops.actions import Call, Result
from wxops.errors import InputError, TaskFailed
from wxops.playbook import data_file
from wxops.playbook.jinja.filters_data import combine
from wxops.playbook.templating import Templar

FREE_FORM = "file"
EXTENSIONS = ("json", "yaml", "yml")


def include_vars(
    call: Call,
    file: str | None = None,
    dir: str | None = None,
    name: str | None = None,
    depth: int = 0,
    files_matching: str | None = None,
    ignore_files: list[str] | None = None,
    extensions: list[str] | None = None,
    ignore_unknown_extensions: bool = False,
    hash_behaviour: Literal["replace", "merge"] | None = None,
) -> Result:
    """Load variables from YAML or JSON files on the controller.

    file: the file, looked for in the role's vars/ and beside the playbook.
    dir: all files of a directory instead, sorted.
    name: put them into one variable of this name.
    depth: how many levels of directories to go into; 0 is all.
    files_matching: a regular expression that a file's name must match.
    ignore_files: names to leave out.
    extensions: the endings that count (json, yaml, yml).
    ignore_unknown_extensions: pass over files with another ending instead of failing.
    hash_behaviour: `merge` puts mappings into the variables that are there already, instead of in their place.
    """
    if file is not None and dir is not None:
        raise InputError("include_vars takes either `file` or `dir`")
    paths = [_found(call, file)] if dir is None else _inside(_found(call, dir), depth)
    endings = tuple(extensions or EXTENSIONS)
    found: dict[str, Any] = {}
    used = []
    for path in paths:
        if dir and not _wanted(path, files_matching, ignore_files or [], endings, ignore_unknown_extensions):
            continue
        found.update(data_file.variables(str(path), call.templar.vault, call.templar.secrets))
        used.append(str(path))
    told = {name: found} if name else found
    if hash_behaviour == "merge":
        told = {key: _merged(call.templar, key, value) for key, value in told.items()}
    return {"changed": False, "ansible_facts": told, "ansible_included_var_files": used}


def _merged(templar: Templar, name: str, value: Any) -> Any:
    """A mapping over the variable of that name, all the way down."""
    known = templar.namespace()
    return combine(known[name], value, recursive=True) if isinstance(value, Mapping) and name in known else value


def _inside(directory: Path, depth: int) -> list[Path]:
    """Its files, also those behind links to directories."""
    walked = os.walk(directory, followlinks=True)
    paths = sorted(Path(folder, name) for folder, _, names in walked for name in names)
    return [path for path in paths if not depth or len(path.relative_to(directory).parts) <= depth]


def _wanted(path: Path, matching: str | None, ignored: list[str], endings: tuple[str, ...], lenient: bool) -> bool:
    if path.name in ignored or (matching and not re.search(matching, path.name)):
        return False
    if path.suffix.lstrip(".") in endings:
        return True
    if lenient:
        return False
    raise _failed(f"{path} does not have a valid extension: {', '.join(endings)}")


def _found(call: Call, name: str | None) -> Path:
    try:
        if name:
            return call.find(name, "vars")
    except InputError as error:
        raise _failed(f"Could not find file {name}: {error.what}, {error.fix}") from None
    raise _failed("Could not find file: no name is given")


def _failed(message: str) -> TaskFailed:
    """Ansible says what is wrong under another key than other modules do; here it stands under both."""
    return TaskFailed(message, {"message": message, "ansible_facts": {}, "ansible_included_var_files": []})
