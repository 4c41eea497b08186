"""An inventory while its sources are being read: names come in any order, and rules hold only at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.inventory_graph import Graph, Group, Host
from wxops.playbook.source import SourceDict, origin_of

_PRIORITY = "ansible_group_priority"
_NOWHERE = Origin("")


@dataclass(slots=True)
class _Host:
    variables: SourceDict
    origin: Origin | None
    implicit: bool = False


@dataclass(slots=True)
class _Group:
    """`children` remembers where each child was named, to point at the line that closes a cycle."""

    variables: SourceDict = field(default_factory=lambda: SourceDict(_NOWHERE))
    children: dict[str, Origin | None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    priority: int = 1


class Draft:
    """Hosts and groups as read so far, and which files were encrypted. `all` and `ungrouped` are always there."""

    def __init__(self) -> None:
        self.hosts: dict[str, _Host] = {}
        self.groups: dict[str, _Group] = {"all": _Group(children={"ungrouped": None}), "ungrouped": _Group()}
        self.encrypted: set[str] = set()

    @classmethod
    def of(cls, graph: Graph) -> Draft:
        """A draft to change a finished inventory."""
        draft = cls()
        for host in graph.hosts.values():
            draft.put_host(host)
        for group in graph.groups.values():
            children = dict.fromkeys(group.children)
            draft.groups[group.name] = _Group(
                _copy(group.variables), dict(children), dict.fromkeys(group.hosts), group.priority
            )
        return draft

    def add_group(self, name: str) -> None:
        self.groups.setdefault(name, _Group())

    def put_host(self, host: Host) -> None:
        """A finished host, in no group yet."""
        self.hosts[host.name] = _Host(_copy(host.variables), host.origin, host.implicit)

    def add_child(self, parent: str, child: str, at: Origin | None = None) -> None:
        self.groups[parent].children.setdefault(child, at)

    def add_host(
        self, name: str, group: str, at: Origin | None = None, port: int | None = None, source: str | None = None
    ) -> None:
        """Put a host in a group. Its first mention decides its port and source, as in Ansible."""
        if name not in self.hosts:
            self.hosts[name] = _Host(_first_variables(port, source, at), at)
        self.groups[group].hosts[name] = None

    def set_host_variables(self, name: str, variables: Mapping[Any, Any]) -> None:
        overlay(self.hosts[name].variables, variables)

    def set_group_variables(self, name: str, variables: Mapping[Any, Any]) -> None:
        group = self.groups[name]
        overlay(group.variables, variables)
        if _PRIORITY in group.variables:
            at = group.variables.keys_at.pop(_PRIORITY, None)
            group.priority = _priority(group.variables.pop(_PRIORITY), at)

    def finish(self) -> Graph:
        """The inventory under its rules: every group below `all`, every host in a group, no group below itself."""
        self._adopt_orphans()
        self._settle_ungrouped()
        depths = self._depths()
        parents, groups_of = self._parents(), self._groups_of_hosts()
        return Graph(
            {
                name: Host(name, host.variables, tuple(groups_of[name]), host.origin, host.implicit)
                for name, host in self.hosts.items()
            },
            {
                name: Group(
                    name,
                    group.variables,
                    tuple(parents[name]),
                    tuple(group.children),
                    tuple(group.hosts),
                    depths[name],
                    group.priority,
                )
                for name, group in self.groups.items()
            },
        )

    def _adopt_orphans(self) -> None:
        children = {child for group in self.groups.values() for child in group.children}
        for name in self.groups:
            if name != "all" and name not in children:
                self.add_child("all", name)

    def _settle_ungrouped(self) -> None:
        """`ungrouped` holds exactly the hosts that no other group but `all` lists."""
        ungrouped = self.groups["ungrouped"].hosts
        for name, groups in self._groups_of_hosts().items():
            if not set(groups) - {"all", "ungrouped"} and not self.hosts[name].implicit:
                ungrouped[name] = None
            else:
                ungrouped.pop(name, None)

    def _depths(self) -> dict[str, int]:
        """The longest way from `all` to each group. Raises InputError for a group that is below itself."""
        depths = dict.fromkeys(self.groups, 0)
        for name in self._parents_first():
            for child in self.groups[name].children:
                depths[child] = max(depths[child], depths[name] + 1)
        return depths

    def _parents_first(self) -> list[str]:
        done: dict[str, None] = {}
        path: list[str] = []

        def visit(name: str, at: Origin | None) -> None:
            if name in path:
                raise _cycle([*path[path.index(name) :], name], at)
            if name in done:
                return
            path.append(name)
            for child, written_at in self.groups[name].children.items():
                visit(child, written_at)
            path.pop()
            done[name] = None

        for name in self.groups:
            visit(name, None)
        return list(reversed(done))

    def _parents(self) -> dict[str, list[str]]:
        parents: dict[str, list[str]] = {name: [] for name in self.groups}
        for name, group in self.groups.items():
            for child in group.children:
                parents[child].append(name)
        return parents

    def _groups_of_hosts(self) -> dict[str, list[str]]:
        groups_of: dict[str, list[str]] = {name: [] for name in self.hosts}
        for name, group in self.groups.items():
            for host in group.hosts:
                groups_of[host].append(name)
        return groups_of


def overlay(below: SourceDict, above: Mapping[Any, Any]) -> None:
    """Lay variables over others, in place: whole values replace each other, and each remembers where it was written."""
    below.update(above)
    if isinstance(above, SourceDict):
        below.keys_at.update(above.keys_at)
    else:
        for key in above:
            below.keys_at.pop(key, None)


def _copy(variables: SourceDict) -> SourceDict:
    copy = SourceDict(variables.origin)
    overlay(copy, variables)
    return copy


def _first_variables(port: int | None, source: str | None, at: Origin | None) -> SourceDict:
    variables = SourceDict(_NOWHERE)
    variables.update(inventory_file=source, inventory_dir=_directory(source))
    if port is not None:
        variables["ansible_port"] = port
        variables.keys_at["ansible_port"] = at or _NOWHERE
    return variables


def _directory(source: str | None) -> str | None:
    if source is None:
        return None
    return os.path.abspath(source if os.path.isdir(source) else os.path.dirname(source))


def _priority(value: Any, at: Origin | None) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InputError(f"{_PRIORITY} is a whole number, not {value!r}", where=origin_of(value, at)) from None


def _cycle(names: list[str], at: Origin | None) -> InputError:
    way = " -> ".join(names)
    return InputError(f"the group {names[0]!r} is below itself: {way}", where=at, fix="take one of these children out")
