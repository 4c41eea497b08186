"""An inventory as data and as a tree, in the shapes of `ansible-inventory --list` and `--graph`.

Nothing secret is in them: `!vault` text stays ciphertext, and what stood in an encrypted file is `***`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from wxops.playbook.inventory import Host, Inventory
from wxops.playbook.inventory_graph import Group
from wxops.playbook.source import SourceDict, SourceStr, VaultStr

Scalar = Callable[[Any], Any]

_HIDDEN = "***"
_INTERNAL = ("inventory_file", "inventory_dir")  # set by the engine, not by the operator


@dataclass(frozen=True)
class Listing:
    """Some hosts of an inventory, with the groups around them.

    playbook_dir: where group_vars/ and host_vars/ beside a playbook are looked for.
    """

    inventory: Inventory
    hosts: Collection[Host]
    playbook_dir: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Each group with its `hosts` and `children`, and `_meta.hostvars`: what an inventory script prints."""
        groups = {group.name: self._sections(group) for group in self.inventory.graph.groups.values()}
        hostvars = {host.name: self.json_variables(host.name) for host in self.hosts}
        return {
            "_meta": {"hostvars": _without_empty(hostvars), "profile": "inventory_legacy"},
            **_without_empty(groups),
        }

    def as_yaml(self) -> dict[str, Any]:
        """An inventory file: groups within groups, and a host's variables where it first stands. See `to_yaml`."""
        return _without_empty({"all": self._nested("all", _Seen())})

    def json_variables(self, host: str) -> dict[str, Any]:
        return self._variables(host, _for_json)

    def yaml_variables(self, host: str) -> dict[str, Any]:
        return self._variables(host, _as_is)

    def _variables(self, host: str, scalar: Scalar) -> dict[str, Any]:
        return _shown(self.inventory, self.inventory.variables(host, self.playbook_dir), scalar)

    def _sections(self, group: Group) -> dict[str, Any]:
        return _without_empty({"children": list(group.children), "hosts": self._members(group)})

    def _nested(self, name: str, seen: _Seen) -> dict[str, Any]:
        group = self.inventory.group(name)
        children = {}
        for child in group.children:
            content = {} if child in seen.groups else self._nested(child, seen)
            if content or child in seen.groups:
                children[child] = content
            seen.groups.add(child)
        hosts = {}
        for host in self._members(group):
            hosts[host] = {} if host in seen.hosts else self.yaml_variables(host)
            seen.hosts.add(host)
        return _without_empty({"children": children, "hosts": hosts})

    def _members(self, group: Group) -> list[str]:
        return [host for host in group.hosts if host in self._names] if group.name != "all" else []

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(host.name for host in self.hosts)


@dataclass(frozen=True)
class _Seen:
    groups: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Tree:
    """The groups below one, as lines; with `variables` also those of each host and each group itself."""

    inventory: Inventory
    playbook_dir: str | None = None
    variables: bool = False

    def lines(self, group: str) -> Iterator[str]:
        return self._branch(self.inventory.group(group), depth=0)

    def _branch(self, group: Group, depth: int) -> Iterator[str]:
        yield _indented(f"@{group.name}:", depth)
        for child in group.children:
            yield from self._branch(self.inventory.group(child), depth + 1)
        for host in group.hosts if group.name != "all" else ():
            yield _indented(host, depth + 1)
            yield from self._named(self.inventory.variables(host, self.playbook_dir), depth + 2)
        yield from self._named(self.inventory.group_variables(group.name, self.playbook_dir), depth + 1)

    def _named(self, variables: SourceDict, depth: int) -> Iterator[str]:
        if self.variables:
            for name, value in sorted(_shown(self.inventory, variables, _for_line).items()):
                yield _indented(f"{{{name} = {value}}}", depth)


def to_yaml(data: dict[str, Any]) -> str:
    """`Listing.as_yaml` as text, its vault values as `!vault` blocks."""
    return yaml.dump(data, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=True)


class _Dumper(yaml.SafeDumper):
    def vault(self, value: VaultStr) -> yaml.ScalarNode:
        return self.represent_scalar("!vault", str(value), style="|")

    def source(self, value: SourceStr) -> yaml.ScalarNode:
        return self.represent_str(str(value))


_Dumper.add_representer(VaultStr, _Dumper.vault)
_Dumper.add_representer(SourceStr, _Dumper.source)


def _shown(inventory: Inventory, variables: SourceDict, scalar: Scalar) -> dict[str, Any]:
    return {
        name: _HIDDEN if inventory.is_secret(variables.at(name)) else _plain(value, scalar)
        for name, value in variables.items()
        if name not in _INTERNAL
    }


def _plain(value: Any, scalar: Scalar) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item, scalar) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, scalar) for item in value]
    return scalar(value)


def _for_json(value: Any) -> Any:
    """Vault text, and text that is no template, are spelled as Ansible's JSON spells them."""
    if isinstance(value, VaultStr):
        return {"__ansible_vault": str(value)}
    if isinstance(value, str):
        return str(value) if isinstance(value, SourceStr) else {"__ansible_unsafe": value}
    return value.isoformat() if isinstance(value, datetime.date) else value


def _as_is(value: Any) -> Any:
    return value


def _for_line(value: Any) -> Any:
    return _HIDDEN if isinstance(value, VaultStr) else value


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _indented(text: str, depth: int) -> str:
    return f"{'  |' * depth}--{text}" if depth else text
