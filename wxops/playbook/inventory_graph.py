"""Hosts, groups, and which holds which: the values that every inventory source is read into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wxops.errors import Origin
from wxops.playbook.source import SourceDict

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Host:
    """A host; equal to every other value of its name.

    variables: written with the host in the inventory, before groups and host_vars/ files.
    groups:    the groups that list the host, not their ancestors.
    origin:    where it is first named.
    implicit:  the controller itself, when a play names localhost and the inventory does not; `all` is without it.
    """

    name: str
    variables: SourceDict = field(compare=False, repr=False)
    groups: tuple[str, ...] = field(default=(), compare=False)
    origin: Origin | None = field(default=None, compare=False)
    implicit: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A group; equal to every other value of its name.

    hosts:    that it lists itself, not those of its children.
    depth:    the longest way down from `all`, which has 0. Deeper groups win.
    priority: `ansible_group_priority`; the higher wins among groups of one depth, then the later name.
    """

    name: str
    variables: SourceDict = field(compare=False, repr=False)
    parents: tuple[str, ...] = field(default=(), compare=False)
    children: tuple[str, ...] = field(default=(), compare=False)
    hosts: tuple[str, ...] = field(default=(), compare=False)
    depth: int = field(default=0, compare=False)
    priority: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """All hosts and groups, each in the order in which the sources first name it."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]

    def hosts_of(self, group: str) -> list[str]:
        """The hosts in a group and below it: the group's own first, then level by level."""
        names = dict.fromkeys(host for below in self._down(group) for host in self.groups[below].hosts)
        return [name for name in names if group != "all" or not self.hosts[name].implicit]

    def groups_of(self, host: Host) -> list[Group]:
        """The groups a host is in, with all their ancestors, the weakest first: `all`, then by depth."""
        names = {*host.groups, "all"}
        unseen = list(names)
        while unseen:
            above = set(self.groups[unseen.pop()].parents) - names
            names |= above
            unseen.extend(above)
        return sorted(
            (self.groups[name] for name in names), key=lambda group: (group.depth, group.priority, group.name)
        )

    def _down(self, group: str) -> Iterator[str]:
        level = [group]
        seen = {group}
        while level:
            yield from level
            below = dict.fromkeys(child for name in level for child in self.groups[name].children)
            level = [name for name in below if name not in seen]
            seen.update(level)
