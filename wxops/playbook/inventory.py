"""The inventory: which hosts there are, which of them a pattern selects, and the variables of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from wxops.errors import InputError, Origin, nearest
from wxops.playbook import patterns
from wxops.playbook.inventory_draft import Draft
from wxops.playbook.inventory_graph import LOCAL_NAMES, Graph, Group, Host
from wxops.playbook.inventory_source import is_host_list, read_source
from wxops.playbook.inventory_vars import VarsFiles, group_variables, host_variables
from wxops.playbook.source import SourceDict
from wxops.playbook.vault import VaultKeys

__all__ = ["Graph", "Group", "Host", "Inventory"]


class Inventory:
    """Hosts and groups as they stand. It does not change: `with_host` and `with_group` give another.

    inventory = Inventory.load(["inventories/hosts.yml"])
    for host in inventory.select("gpu:!edge"):
        print(host.name, inventory.variables(host.name)["ansible_host"])
    """

    def __init__(self, graph: Graph, sources: Sequence[str], files: VarsFiles) -> None:
        self.graph, self.sources, self.files = graph, tuple(sources), files
        self._variables: dict[tuple[str, str | None], SourceDict] = {}
        self._group_names: dict[str, list[str]] = {}
        self._met: dict[str, Host] = {}

    @classmethod
    def load(cls, sources: Sequence[str], keys: VaultKeys | None = None) -> Inventory:
        """Read files, directories and `host1,host2,` lists in order; what a later one says of a name wins.

        Raises InputError with the place of a mistake, VaultError for a file that none of `keys` opens.
        """
        keys = keys or VaultKeys()
        draft = Draft()
        for source in sources:
            read_source(source, draft, keys)
        return cls(draft.finish(), sources, VarsFiles(keys, draft.encrypted))

    @property
    def hosts(self) -> Mapping[str, Host]:
        """Every host by name, in the order in which the sources first name it."""
        return self.graph.hosts

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The names of every group's hosts, those of its children too: the magic variable `groups`."""
        return {name: self.graph.hosts_of(name) for name in self.graph.groups}

    def group(self, name: str) -> Group:
        if name not in self.graph.groups:
            raise InputError(f"no group {name!r} in the inventory", fix=nearest(name, list(self.graph.groups)))
        return self.graph.groups[name]

    def host(self, name: str) -> Host:
        """The host of that name; localhost is the controller itself when the inventory does not name it."""
        if name in self.graph.hosts:
            return self.graph.hosts[name]
        if name in LOCAL_NAMES:
            return self._localhost(name)
        if name in self._met:
            return self._met[name]
        raise InputError(f"no host {name!r} in the inventory", fix=nearest(name, list(self.graph.hosts)))

    def meet(self, name: str) -> None:
        """Let `host` know a host that no source names, because a task is delegated to it: it has `all`'s variables."""
        if name not in self.graph.hosts and name not in LOCAL_NAMES:
            self._met[name] = Host(name, SourceDict(self.graph.groups["all"].variables.origin), implicit=True)

    def group_names(self, host: str) -> list[str]:
        """Every group a host is in except `all`, sorted: the magic variable `group_names`."""
        if host not in self._group_names:
            groups = self.graph.groups_of(self.host(host))
            self._group_names[host] = sorted(group.name for group in groups if group.name != "all")
        return self._group_names[host]

    @property
    def clashes(self) -> list[str]:
        """Names that a host and a group share, to warn about: a pattern then means the host."""
        return [name for name in self.graph.groups if name in self.graph.hosts]

    def select(self, pattern: str | Sequence[str], limit: str | Sequence[str] | None = None) -> list[Host]:
        """The hosts that a pattern selects, in Ansible's order, without those outside `limit`.

        Raises InputError for a name in `limit` that is nowhere in the inventory: a typing mistake there must
        not change which hosts are touched. For `hosts:` see `unmatched`.
        """
        hosts = patterns.resolve(patterns.split(pattern), self.graph, self._localhost)
        if not limit:
            return hosts
        terms = patterns.split_limit(limit)
        self.require_known(terms, "--limit")
        within = set(patterns.resolve(terms, self.graph, self._localhost))
        return [host for host in hosts if host in within]

    def require_hosts(self, pattern: str, limit: str | Sequence[str] | None = None) -> list[Host]:
        """The hosts of a pattern within `limit`. Raises InputError when an inventory with hosts has none of them."""
        hosts = self.select(pattern, limit)
        if not hosts and self.graph.hosts:
            left = f"{pattern} and --limit {limit} leave" if limit else f"{pattern} leaves"
            raise InputError(f"{left} no host to work on")
        return hosts

    def unmatched(self, pattern: str | Sequence[str]) -> list[str]:
        """The terms of a `hosts:` pattern that match no host and no group, to warn about."""
        return patterns.unmatched(patterns.split(pattern), self.graph)

    def require_known(self, pattern: str | Sequence[str], given_as: str) -> None:
        """Raise InputError with the nearest name for the first term that matches no host and no group."""
        for term in self.unmatched(pattern):
            fix = patterns.nearest_name(term, self.graph)
            raise InputError(f"{given_as}: {term!r} matches no host and no group", fix=fix)

    def variables(self, host_name: str, playbook_dir: str | None = None) -> SourceDict:
        """A host's variables from the inventory, group_vars/ and host_vars/, merged as Ansible merges them.

        `playbook_dir` adds the group_vars/ and host_vars/ beside a playbook. `at(name)` of the result is where a
        variable was written. The same object is returned to every caller: do not change it.
        """
        key = (host_name, playbook_dir)
        if key not in self._variables:
            host = self.host(host_name)
            self._variables[key] = host_variables(host, self.graph, self.files, self._directories, playbook_dir)
        return self._variables[key]

    def group_variables(self, name: str, playbook_dir: str | None = None) -> SourceDict:
        """What is written for one group: in the inventory and in group_vars/."""
        return group_variables(self.group(name), self.files, self._directories, playbook_dir)

    def is_secret(self, at: Origin) -> bool:
        """Whether what was written there stood in an encrypted file."""
        return at.file in self.files.encrypted

    def secrets(self) -> list[Any]:
        """Every value from the encrypted files read so far, to keep out of what is shown."""
        written = [host.variables for host in self.graph.hosts.values()]
        written += [group.variables for group in self.graph.groups.values()]
        return [
            value
            for mapping in (*written, *self.files.mappings.values())
            for name, value in mapping.items()
            if self.is_secret(mapping.at(name))
        ]

    def with_host(self, name: str, groups: Sequence[str] = (), variables: Mapping[str, Any] | None = None) -> Inventory:
        """This inventory and a host, or a known host in more groups and with more variables (add_host)."""
        draft = Draft.of(self.graph)
        for group in groups if name in self.graph.hosts else ("all", *groups):
            draft.add_group(group)
            draft.add_host(name, group)
        draft.set_host_variables(name, variables or {})
        return Inventory(draft.finish(), self.sources, self.files)

    def with_group(self, name: str, hosts: Sequence[str], parents: Sequence[str] = ()) -> Inventory:
        """This inventory with known hosts in a group, new or not, below `parents` (group_by)."""
        return self.with_groups({name: (hosts, parents)})

    def with_groups(self, groups: Mapping[str, tuple[Iterable[str], Iterable[str]]]) -> Inventory:
        """The same for several groups: name -> hosts, parents."""
        draft = Draft.of(self.graph)
        for name, (hosts, parents) in groups.items():
            draft.add_group(name)
            for parent in parents:
                draft.add_group(parent)
                draft.add_child(parent, name)
            for host in map(self.host, hosts):
                if host.name not in draft.hosts:
                    draft.put_host(host)
                draft.add_host(host.name, name)
        return Inventory(draft.finish(), self.sources, self.files)

    @cached_property
    def _directories(self) -> list[str]:
        """Where the sources' group_vars/ and host_vars/ are looked for."""
        files = [source for source in self.sources if not is_host_list(source)]
        return [source if os.path.isdir(source) else os.path.dirname(source) for source in files]

    def _localhost(self, name: str) -> Host:
        """The first local name in the inventory, else the controller through no connection at all."""
        for known in self.graph.hosts:
            if known in LOCAL_NAMES:
                return self.graph.hosts[known]
        variables = SourceDict(self.graph.groups["all"].variables.origin)
        variables.update(ansible_connection="local", ansible_python_interpreter=sys.executable)
        return Host(name, variables, implicit=True)
