"""`module_defaults` in a run: those that are templates, and those for the facts that a play gathers by itself.

So does a template that stands for some of a task's arguments: it gives what the task does not say itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wxops.errors import InputError
from wxops.playbook.defaults import defaults_of
from wxops.playbook.plays import Task
from wxops.playbook.templating import Templar

if TYPE_CHECKING:
    from wxops.engine.context import PlayContext

GATHERING = ("setup", "gather_facts")
"""The modules whose defaults hold where a play gathers facts, the weaker one first."""


def rendered_defaults(task: Task, templar: Templar) -> dict[str, Any]:
    """The arguments that module_defaults or a template of its own gives to a task, under those that it says."""
    found: dict[str, Any] = {}
    for layer in task.defaults:
        found.update(_mapping(templar.render(layer), task))
    return found


def facts_defaults(context: PlayContext) -> list[Mapping[str, Any]]:
    """What the play's module_defaults say of gathering facts."""
    play, known = context.play, context.loader.known
    templar = context.variables.templar(context.variables.hosts[0], play.common)
    layers = [each for name in GATHERING for each in defaults_of(play.common.module_defaults, name, known)]
    return [each if isinstance(each, Mapping) else templar.render(each) for each in layers]


def _mapping(value: Any, task: Task) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"a template for arguments of {task.module} should give a mapping, not {value!r}", where=task.origin
        )
    return value
