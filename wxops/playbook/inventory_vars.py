"""A host's variables: what the inventory says of it and its groups, and the files in group_vars/ and host_vars/."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from wxops.playbook.data_file import EXTENSIONS, read
from wxops.playbook.inventory_draft import overlay
from wxops.playbook.inventory_graph import Graph, Group, Host
from wxops.playbook.source import SourceDict
from wxops.playbook.vault import VaultKeys


@dataclass(frozen=True)
class VarsFiles:
    """group_vars/ and host_vars/ under any directory; each directory is listed once and each file read once.

    encrypted: the paths of the files read so far, inventories too, that were whole vault texts.
    mappings:  what was read, by path.
    """

    keys: VaultKeys
    encrypted: set[str] = field(default_factory=set)
    mappings: dict[str, SourceDict] = field(default_factory=dict, repr=False)
    _listings: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def of(self, directory: str, kind: str, name: str) -> Iterator[SourceDict]:
        """The variables for a group or host: `NAME`, else `NAME.yml`, `.yaml` or `.json`; or all files in `NAME/`."""
        folder = os.path.join(directory, kind)
        present = self._listing(folder)
        for candidate in (name, *(name + extension for extension in EXTENSIONS)):
            if candidate in present:
                yield from map(self._mapping, _files(os.path.join(folder, candidate)))
                return

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._listings:
            self._listings[folder] = frozenset(os.listdir(folder) if os.path.isdir(folder) else ())
        return self._listings[folder]

    def _mapping(self, path: str) -> SourceDict:
        if path not in self.mappings:
            file = read(path, self.keys)
            self.mappings[path] = file.load_variables()
            if file.encrypted:
                self.encrypted.add(path)
        return self.mappings[path]


def host_variables(
    host: Host, graph: Graph, files: VarsFiles, directories: Sequence[str], playbook_dir: str | None
) -> SourceDict:
    """A host's variables, each from the strongest layer that has it; `at(name)` is where that one was written.

    directories: of the inventory's sources, in order; the later is stronger.
    The layers, the weakest first, are those of ansible-core's VARIABLE_PRECEDENCE.
    """
    beside_playbook = [playbook_dir] if playbook_dir is not None else []
    everyone, *groups = (group.name for group in graph.groups_of(host))

    def written(names: Iterable[str]) -> Iterator[SourceDict]:
        return (graph.groups[name].variables for name in names)

    def in_files(places: Sequence[str], kind: str, names: Sequence[str]) -> Iterator[SourceDict]:
        return (mapping for place in places for name in names for mapping in files.of(place, kind, name))

    variables = SourceDict(host.variables.origin)
    for layer in (
        written([everyone]),
        written(groups),
        in_files(directories, "group_vars", [everyone]),
        in_files(beside_playbook, "group_vars", [everyone]),
        in_files(directories, "group_vars", groups),
        in_files(beside_playbook, "group_vars", groups),
        [host.variables],
        in_files(directories, "host_vars", [host.name]),
        in_files(beside_playbook, "host_vars", [host.name]),
    ):
        for mapping in layer:
            overlay(variables, mapping)
    return variables


def group_variables(group: Group, files: VarsFiles, directories: Sequence[str], playbook_dir: str | None) -> SourceDict:
    """One group's own variables, without its parents'; its priority only when it is not the usual one."""
    variables = SourceDict(group.variables.origin)
    overlay(variables, group.variables)
    for directory in [*directories, *([playbook_dir] if playbook_dir is not None else [])]:
        for mapping in files.of(directory, "group_vars", group.name):
            overlay(variables, mapping)
    if group.priority != 1:
        variables["ansible_group_priority"] = group.priority
    return variables


def _files(path: str) -> Iterator[str]:
    """The file itself, or those of a directory in order: no hidden ones, no backups, no other extensions."""
    if not os.path.isdir(path):
        yield path
        return
    for entry in sorted(os.listdir(path)):
        inside = os.path.join(path, entry)
        extension = os.path.splitext(entry)[1]
        is_directory = os.path.isdir(inside)
        if entry.startswith(".") or entry.endswith("~") or (is_directory and extension):
            continue
        if is_directory or not extension or extension in EXTENSIONS:
            yield from _files(inside)
