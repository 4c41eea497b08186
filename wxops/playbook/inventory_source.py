"""What `-i` may name: a file, a directory of files, or `host1,host2,`. Each is read into one draft, in order."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from wxops.errors import InputError, Origin
from wxops.playbook.data_file import EXTENSIONS, DataFile, read
from wxops.playbook.inventory_draft import Draft
from wxops.playbook.inventory_ini import read_lines
from wxops.playbook.inventory_names import split_port
from wxops.playbook.inventory_yaml import read_groups
from wxops.playbook.source import SourceDict
from wxops.playbook.vault import VaultKeys

# What Ansible passes over in an inventory directory: INVENTORY_IGNORE_EXTS of ansible-core 2.19, and variables.
_IGNORED = re.compile(
    r"^\.|^(?:host_vars|group_vars|vars_plugins)$|(?:\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.cfg|\.retry)$"
)


def is_host_list(source: str) -> bool:
    return "," in source and not os.path.exists(source)


def read_source(source: str, draft: Draft, keys: VaultKeys) -> None:
    """Add a source to the draft. Raises InputError for one that is missing, or that is no inventory."""
    if is_host_list(source):
        _host_list(source, draft)
    elif os.path.isdir(source):
        for entry in _entries(source):
            read_source(os.path.join(source, entry), draft, keys)
    elif os.path.exists(source):
        _file(source, draft, keys)
    else:
        raise InputError("there is no such inventory", where=source, fix="a list of hosts needs a comma: -i HOST,")


def _entries(directory: str) -> Sequence[str]:
    return [entry for entry in sorted(os.listdir(directory)) if not _IGNORED.search(entry)]


def _host_list(source: str, draft: Draft) -> None:
    for written in filter(None, map(str.strip, source.split(","))):
        name, port = split_port(written) or (written, None)
        if "[" in name:
            raise InputError(f"{written!r}: ranges are not read in a list", where="-i", fix="write them in a file")
        if name not in draft.hosts:
            draft.add_host(name, "ungrouped", Origin("-i"), port, source)


def _file(path: str, draft: Draft, keys: VaultKeys) -> None:
    extension = os.path.splitext(path)[1]
    if extension == ".toml":
        raise InputError("TOML inventories are not read", where=path, fix="write it as YAML or INI")
    file = read(path, keys)
    if file.encrypted:
        draft.encrypted.add(path)
    if file.text.startswith("#!") and os.access(path, os.X_OK):
        raise InputError(
            "inventory scripts are not run",
            where=path,
            fix=f"save what it finds: ansible-inventory -i {path} --list --export --yaml > hosts.yml",
        )
    if extension in EXTENSIONS or (not extension and _is_yaml(file)):
        _yaml(file, draft)
    else:
        read_lines(file.text, draft, os.path.abspath(path), path)


def _is_yaml(file: DataFile) -> bool:
    """A file without an extension is YAML when it reads as a mapping, as in Ansible; else it is INI."""
    if file.text.startswith("---"):
        return True
    try:
        return isinstance(file.load(), SourceDict)
    except InputError:
        return False


def _yaml(file: DataFile, draft: Draft) -> None:
    data = file.load()
    if not isinstance(data, SourceDict):
        problem = "is empty" if data is None else "is not a mapping of groups"
        raise InputError(f"the inventory {problem}", where=file.path, fix="begin with `all:` and `hosts:` below it")
    read_groups(data, draft, os.path.abspath(file.path))
