"""A case made smaller for as long as it still differs: tasks, keywords and arguments are left out one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from conformance.fuzz.playbooks import Case

KEPT = ("hosts", "gather_facts", "tasks")


def minimised(case: Case, differs: Callable[[Case], bool], tries: int) -> Case:
    """The smallest case found in so many tries."""
    left = tries
    going_on = True
    while going_on:
        going_on = False
        for smaller in _smaller(case):
            if left == 0:
                return case
            left -= 1
            if differs(smaller):
                case, going_on = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    if case.options:
        yield Case("", case.play)
    for name in case.play:
        if name not in KEPT:
            yield Case(case.options, _without(case.play, name))
    for tasks in _lists(case.play["tasks"]):
        if tasks:
            yield Case(case.options, {**case.play, "tasks": tasks})


def _lists(tasks: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Lists of tasks with one thing less, the greatest first."""
    for number in range(len(tasks)):
        yield [*tasks[:number], *tasks[number + 1 :]]
    for number, task in enumerate(tasks):
        for inside in ("block", "rescue", "always"):
            if inside in task:
                yield [*tasks[:number], *task[inside], *tasks[number + 1 :]]
        for smaller in _tasks(task):
            yield [*tasks[:number], smaller, *tasks[number + 1 :]]


def _tasks(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for position, (name, value) in enumerate(task.items()):
        if position:  # the first one is the module, or the block
            yield _without(task, name)
        if name in ("block", "rescue", "always"):
            yield from ({**task, name: inside} for inside in _lists(value) if inside)
    for name, value in task.items():
        if isinstance(value, dict):
            for argument in value:
                yield {**task, name: _without(value, argument)}


def _without(mapping: Any, name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}
