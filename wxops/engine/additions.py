"""What add_host and group_by bring into the inventory while a run goes on, and reading the inventory anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wxops.engine.variables import Variables
from wxops.playbook.inventory import Inventory

Addition = Callable[[Inventory], Inventory]


@dataclass
class Additions:
    """The inventory of a run, which tasks change. Several threads may; what they added comes again after a refresh."""

    inventory: Inventory
    _made: list[Addition] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add_host(self, variables: Variables, name: str, groups: Sequence[str], values: Mapping[str, Any]) -> bool:
        """A host, new or not, with these groups and variables; did that change anything?"""
        with self._guard:
            known = self.inventory.hosts.get(name)
            inside = {group for group in groups if name in self._hosts_below(group)}
            had = known.variables if known else {}
            news = known is None or inside != set(groups) or any(had.get(key) != values[key] for key in values)
            if news:
                self._add(variables, lambda inventory: inventory.with_host(name, groups, values))
                if name not in variables.hosts:  # as Ansible counts it: among the play's hosts, though it has no tasks
                    variables.hosts = [*variables.hosts, name]
            return news

    def add_group(self, variables: Variables, name: str, host: str, parents: Sequence[str]) -> bool:
        """A host in a group, new or not, below others; did that change anything?"""
        with self._guard:
            graph = self.inventory.graph
            linked = all(parent in graph.groups and name in graph.groups[parent].children for parent in parents)
            news = not linked or host not in self._hosts_below(name)
            if news:
                self._add(variables, lambda inventory: _grouped(inventory, name, host, parents))
            return news

    def refresh(self, variables: Variables) -> None:
        """Read all sources again. Raises InputError."""
        with self._guard:
            fresh = Inventory.load(self.inventory.sources, self.inventory.files.keys)
            for addition in self._made:
                fresh = addition(fresh)
            self.inventory = variables.inventory = fresh

    def _add(self, variables: Variables, addition: Addition) -> None:
        self.inventory = variables.inventory = addition(self.inventory)
        self._made.append(addition)

    def _hosts_below(self, group: str) -> Sequence[str]:
        return self.inventory.groups.get(group, ())


def _grouped(inventory: Inventory, name: str, host: str, parents: Sequence[str]) -> Inventory:
    """A host that a refresh has taken away comes into no group."""
    return inventory.with_group(name, [host] if host in inventory.hosts or host == "localhost" else [], parents)
