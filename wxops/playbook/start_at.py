"""`--start-at-task`: plays without what stands before the task of that name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from wxops.errors import InputError
from wxops.playbook.plays import Block, Node, Play, Task


def starting_at(books: Sequence[Sequence[Play]], name: str) -> list[list[Play]]:
    """The plays of all playbooks: before the task nothing is done, its own play begins there, after its facts.

    name: a task's name, with its role or without; `*`, `?` and `[]` match as in a shell. What files bring in with
    include_tasks or include_role is not known yet, and cannot be found. Raises InputError when there is no such task.
    """
    met = False
    found: list[list[Play]] = []
    for book in books:
        found.append([])
        for play in book:
            if not met:
                sections, met = _from(play.sections, name)
                nothing: dict[str, Any] = {} if met else {"gather_facts": False, "vars_prompt": ()}
                play = replace(play, sections=sections, **nothing)
            found[-1].append(play)
    if met:
        return found
    raise InputError(
        f"there is no task {name!r} to start at",
        fix="`--list-tasks` shows their names; tasks of include_tasks and include_role cannot be the first",
    )


def _from(nodes: Sequence[Block], name: str) -> tuple[tuple[Block, ...], bool]:
    kept, met = _rest(nodes, name)
    return tuple(node for node in kept if isinstance(node, Block)), met


def _rest(nodes: Sequence[Node], name: str) -> tuple[tuple[Node, ...], bool]:
    """The nodes from the task on. A block around it keeps its rescue and its always."""
    for number, node in enumerate(nodes):
        if isinstance(node, Task):
            if _is_called(node, name):
                return tuple(nodes[number:]), True
            continue
        body, met = _rest(node.body, name)
        if met:
            return (replace(node, body=body), *nodes[number + 1 :]), True
        always, met = _rest(node.always, name)
        if met:
            return (replace(node, body=always, rescue=(), always=()), *nodes[number + 1 :]), True
    return (), False


def _is_called(task: Task, name: str) -> bool:
    known = {str(task.name)} if task.name else set()
    return any(own == name or fnmatchcase(own, name) for own in known | {task.label})
