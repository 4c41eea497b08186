"""The items of a loop: `loop`, `with_X`, and how each item is called in templates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from wxops.errors import InputError
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.jinja.lazy import kept
from wxops.playbook.plays import Loop, Task
from wxops.playbook.templating import Templar

SUBDIRECTORIES = {"template": "templates", "include_vars": "vars"}
"""Where `with_first_found` looks first, by module; files/ for the others."""


@dataclass
class Item:
    """One item: its value, a templar that knows it, and, when it has a result, its label for people."""

    value: Any
    templar: Templar
    loop: Loop | None
    index: int = 0

    def __post_init__(self) -> None:
        self.label = self.value

    def mark(self, result: dict[str, Any]) -> None:
        """Write into a result which item it is of, as Ansible does."""
        if self.loop is None:
            return
        result[self.loop.variable] = self.value
        result["ansible_loop_var"] = self.loop.variable
        if self.loop.index_variable:
            result[self.loop.index_variable] = self.index
            result["ansible_index_var"] = self.loop.index_variable


def items_of(task: Task, templar: Templar) -> list[Item] | None:
    """The items of a task's loop; None when it does not loop."""
    loop = task.loop
    if loop is None:
        return None
    if has_template(loop.variable):
        loop = replace(loop, variable=str(templar.render(loop.variable)))
    values = _values(loop, task, templar)
    items = []
    extended = bool(templar.render(loop.extended))
    everything = {"allitems": values} if templar.render(loop.extended_allitems) else {}
    for index, value in enumerate(values):
        names: dict[str, Any] = {loop.variable: value, "ansible_loop_var": loop.variable}
        if loop.index_variable:
            names.update({loop.index_variable: index, "ansible_index_var": loop.index_variable})
        if extended:
            names["ansible_loop"] = {**_extended(values, index), **everything}
        items.append(Item(value, templar.extended(names), loop, index))
    return items


def _values(loop: Loop, task: Task, templar: Templar) -> list[Any]:
    if loop.lookup is not None:
        beside = {"subdir": SUBDIRECTORIES.get(task.module, "files")} if loop.lookup == "first_found" else {}
        return templar.lookup(loop.lookup, loop.terms, **beside)
    values = kept(loop.terms, templar)
    if not isinstance(values, list | tuple):
        raise InputError(
            f"loop should be a list, not {type(values).__name__}",
            where=task.origin,
            fix="`| list` or `| dict2items` may help",
        )
    return list(values)


def _extended(values: list[Any], index: int) -> dict[str, Any]:
    """`ansible_loop` of loop_control.extended."""
    known: dict[str, Any] = {
        "index": index + 1, "index0": index, "revindex": len(values) - index,
        "revindex0": len(values) - index - 1, "first": index == 0, "last": index == len(values) - 1,
        "length": len(values),
    }  # fmt: skip
    if index:
        known["previtem"] = values[index - 1]
    if index < len(values) - 1:
        known["nextitem"] = values[index + 1]
    return known


def sees_its_results(task: Task) -> bool:
    """Does an item's condition or argument name what the task registers? Then it sees the item before it."""
    return bool(task.register) and str(task.register) in repr([task.arguments, task.common.when, task.common.vars])
