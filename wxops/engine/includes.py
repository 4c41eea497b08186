"""What include_tasks and include_role bring in while a play runs, and for which hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wxops.engine import events
from wxops.engine.context import PlayContext
from wxops.engine.handlers import Handlers
from wxops.engine.missing import refuse_needed
from wxops.errors import InputError
from wxops.playbook import roles
from wxops.playbook.loader import Included
from wxops.playbook.plays import Block, Common, Node, Task
from wxops.playbook.task_loader import find_task_file


@dataclass
class Group:
    """Hosts that include the same with the same loop variables: they go through it together."""

    wanted: Mapping[str, Any]
    names: Mapping[str, Any]
    hosts: list[str] = field(default_factory=list)


class Includes:
    """Loads what the tasks of one play include."""

    def __init__(self, context: PlayContext, handlers: Handlers) -> None:
        self._context, self._handlers = context, handlers

    def groups(self, results: Mapping[str, Mapping[str, Any]]) -> Sequence[Group]:
        """The includes that hosts asked for, in the order of hosts and items."""
        found: dict[str, list[Group]] = {}
        groups: list[Group] = []
        for host, result in results.items():
            for each in result.get("results", [result]):
                if "_include" in each and not each.get("failed"):
                    said = [each.get("ansible_loop_var"), each.get("ansible_index_var")]
                    names = {name: each[name] for name in said if name}
                    names.update({key: each[key] for key in ("ansible_loop_var", "ansible_index_var") if key in each})
                    key = json.dumps([each["_include"], names], sort_keys=True, default=str)
                    alike = found.setdefault(key, [])
                    group = next((one for one in alike if host not in one.hosts), None)
                    if group is None:  # an item that a loop has twice is included twice
                        group = Group(each["_include"], names)
                        alike.append(group)
                        groups.append(group)
                    group.hosts.append(host)
        return groups

    def load(self, task: Task, group: Group) -> Sequence[Node]:
        """The tasks; their handlers are known from now on. Raises InputError with what is wrong in them."""
        common = _inside(task, group)
        included = self._role(task, group, common) if "role" in group.wanted else self._file(task, group, common)
        brought = [*_tasks(included.nodes), *(each for handlers in included.handlers for each in handlers)]
        refuse_needed(brought, self._context.variables, group.hosts)
        for handlers in included.handlers:
            self._handlers.add(handlers)
        if included.role is not None and self._is_public(group.wanted["public"]):
            self._context.variables.make_public(included.role)
        return included.nodes

    def _is_public(self, said: bool | None) -> bool:
        """An included role keeps its variables for itself, unless it or the setting says otherwise in so many words."""
        return self._context.options.private_role_vars is False if said is None else said

    def _role(self, task: Task, group: Group, common: Common) -> Included:
        parts, directory = group.wanted["parts"], self._context.play.directory
        common = replace(common, collections=task.common.collections)
        own = task.common.vars[len(task.outer.vars) :]
        beside = roles.included_with(own[0] if own else None)
        name = group.wanted["role"]
        included = self._context.loader.role(name, common, directory, task.origin, beside=beside, **parts)
        self._tell(str(group.wanted["role"]), group)
        return included

    def _file(self, task: Task, group: Group, common: Common) -> Included:
        name, directory = group.wanted["file"], self._context.play.directory
        path = find_task_file(name, Path(task.origin.file), task.common.role, directory)
        if path is None:
            raise InputError(f"there is no task file {name}", where=task.origin)
        included = self._context.loader.task_file(path, common, directory)
        self._tell(str(path), group)
        return included

    def _tell(self, what: str, group: Group) -> None:
        item = group.names.get(str(group.names.get("ansible_loop_var")))
        self._context.emit(events.Included(what, tuple(group.hosts), self._context.secrets.mask_data(item)))


def _tasks(nodes: Sequence[Node]) -> Iterator[Task]:
    for node in nodes:
        yield from node.tasks() if isinstance(node, Block) else [node]


def _inside(task: Task, group: Group) -> Common:
    """What holds in the included tasks: what holds around the include, its variables, and what `apply` says."""
    own = task.common.vars[len(task.outer.vars) :]
    layers = [layer for layer in (*own, group.names) if layer]
    return replace(task.outer, params=(*task.outer.params, *layers)).inner(group.wanted.get("apply") or {})
