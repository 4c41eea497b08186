"""Tasks whose module Ansible has and wxops has not: refused before anything is changed, where a host may come to one.

Public roles have tasks for systems that no host here runs, behind a condition. What is behind none, and not left out by
its tags, is refused when the playbook is loaded; the others when the hosts of the play have told their facts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from wxops.engine.loops import items_of
from wxops.engine.options import RunOptions
from wxops.engine.variables import Variables
from wxops.errors import InputError, WxopsError
from wxops.playbook.plays import Play, Task
from wxops.playbook.templating import Templar


def refuse_unconditional(play: Play, options: RunOptions) -> None:
    """Refuse what every host of a play would come to."""
    for task in _tasks(play, options):
        if task.missing is not None and not task.common.when and task.loop is None:
            raise task.missing


def refuse_needed(tasks: Iterable[Task], variables: Variables, hosts: Sequence[str]) -> None:
    """Refuse what one of these hosts may come to, by what is known of it now."""
    for task in tasks:
        if task.missing is None:
            continue
        for host in hosts:
            if not _is_ruled_out(task, variables.templar(host, task.common)):
                behind = " and ".join(f"`{condition}`" for condition in task.common.when) or "its loop"
                fix = f"{host} may come to it: {behind} does not rule it out now\n  {task.missing.fix}"
                raise InputError(task.missing.what, where=task.missing.where, fix=fix)


def needing(play: Play, options: RunOptions) -> list[Task]:
    """The tasks and handlers of a play that wxops cannot do."""
    return [task for task in _tasks(play, options) if task.missing is not None]


def _tasks(play: Play, options: RunOptions) -> list[Task]:
    return [*(task for task in play.tasks() if options.selects(task.common.tags)), *play.handler_tasks()]


def _is_ruled_out(task: Task, templar: Templar) -> bool:
    """Is one of its conditions false, or has its loop no items?"""
    for condition in task.common.when:
        with contextlib.suppress(WxopsError):  # what cannot be told yet rules nothing out
            if not templar.condition(condition, where=task.origin):
                return True
    with contextlib.suppress(WxopsError):
        return items_of(task, templar) == []
    return False
