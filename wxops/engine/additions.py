"""What add_host and group_by bring into the inventory while a run goes on, and reading the inventory anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    _joining: dict[str, tuple[dict[str, None], dict[str, None]]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add_host(self, variables: Variables, name: str, groups: Sequence[str], values: Mapping[str, Any]) -> bool:
        """A host, new or not, with these groups and variables; did that change anything?"""
        with self._guard:
            self._join(variables)
            known = self.inventory.hosts.get(name)
            inside = {group for group in groups if name in self._hosts_below(group)}
            had = known.variables if known else {}
            news = known is None or inside != set(groups) or any(had.get(key) != values[key] for key in values)
            if news:
                self._add(variables, lambda inventory: inventory.with_host(name, groups, values))
                if name not in variables.hosts:  # as Ansible counts it: among the play's hosts, though it has no tasks
                    variables.hosts = [*variables.hosts, name]
            return news

    def add_group(self, name: str, host: str, parents: Sequence[str]) -> bool:
        """A host in a group, new or not, below others; is that news? It is so when the task has ended: see `settle`."""
        with self._guard:
            hosts, above = self._joining.get(name, ({}, {}))
            groups = self.inventory.graph.groups
            linked = {
                parent for parent in parents if parent in groups and name in groups[parent].children
            } | above.keys()
            news = not linked.issuperset(parents) or not (host in hosts or host in self._hosts_below(name))
            if news:
                self._joining[name] = ({**hosts, host: None}, {**above, **dict.fromkeys(parents)})
            return news

    def settle(self, variables: Variables) -> None:
        """What the hosts of a task asked for with group_by becomes so, all at once."""
        if self._joining:
            with self._guard:
                self._join(variables)

    def refresh(self, variables: Variables) -> None:
        """Read all sources again. Raises InputError."""
        with self._guard:
            self._join(variables)
            fresh = Inventory.load(self.inventory.sources, self.inventory.files.keys)
            for addition in self._made:
                fresh = addition(fresh)
            variables.before = self.inventory
            self.inventory = variables.inventory = fresh

    def _join(self, variables: Variables) -> None:
        joining, self._joining = self._joining, {}
        if joining:
            self._add(variables, lambda inventory: _joined(inventory, joining))

    def _add(self, variables: Variables, addition: Addition) -> None:
        self.inventory = variables.inventory = addition(self.inventory)
        self._made.append(addition)

    def _hosts_below(self, group: str) -> Sequence[str]:
        return self.inventory.groups.get(group, ())


def _joined(inventory: Inventory, joining: Mapping[str, tuple[Iterable[str], Iterable[str]]]) -> Inventory:
    """A host that a refresh has taken away comes into no group."""
    there = {
        name: ([host for host in hosts if host in inventory.hosts or host == "localhost"], parents)
        for name, (hosts, parents) in joining.items()
    }
    return inventory.with_groups(there)
