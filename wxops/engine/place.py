"""Where a task acts: on which host, as whom, in which environment. An item of a loop may have a place of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wxops.engine.become import become_for
from wxops.engine.delegation import delegate_of
from wxops.engine.values import number
from wxops.errors import InputError
from wxops.playbook.plays import Common, Task
from wxops.playbook.task_arguments import may_be_anything
from wxops.playbook.templating import OMIT, Templar
from wxops.transport.options import Become

if TYPE_CHECKING:
    from wxops.engine.context import PlayContext

LOCALHOST = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    """host: the one it acts on. reach: the variables that say how to get there. about: what the agent is told."""

    host: str
    reach: Mapping[str, Any]
    become: Become | None
    about: Mapping[str, Any]


def place_of(context: PlayContext, task: Task, host: str, templar: Templar, about: Mapping[str, Any]) -> Place:
    """The place of a task or item, whose variables `templar` has."""
    common = task.common
    name = _delegate(context, task, templar) or host
    there = templar if name == host else context.variables.templar(name)
    reach = _Reach(templar, there, task, local=name in LOCALHOST and name != host)
    told: dict[str, Any] = {**about}
    if common.environment:
        told["environment"] = environment(common, templar)
    if task.async_limit is not None or task.module == "async_status":
        folder = there.namespace().get("ansible_async_dir")
        told["environment"] = {**({"ANSIBLE_ASYNC_DIR": str(folder)} if folder else {}), **told.get("environment", {})}
    if (reach.get("ansible_connection") or context.options.connection) == "local":
        told["directory"] = str(context.play.directory)
    timeout = templar.render(common.timeout)
    if timeout is not None:
        told["timeout"] = number(timeout, "timeout", task.origin)
    if task.rollback is not None:
        told["rollback"] = str(templar.render(task.rollback))
    return Place(name, reach, become_for(common, templar, there.namespace(), context.options), told)


def _delegate(context: PlayContext, task: Task, templar: Templar) -> str | None:
    """The host that the task is delegated to. One that the inventory does not have is reached by its name."""
    name = delegate_of(templar, task.common)
    if name is None:
        return None
    if not name:
        raise InputError(f"delegate_to is empty: {task.common.delegate_to}", where=task.origin)
    context.variables.inventory.meet(str(name))
    return str(name)


def environment(common: Common, templar: Templar) -> dict[str, str]:
    """The variables of `environment:`, of the play, its blocks and the task; the innermost wins."""
    merged: dict[str, str] = {}
    for layer in common.environment:
        values = templar.render(layer)
        if values is None or values is OMIT or values == "":
            continue
        if not isinstance(values, Mapping):
            raise InputError(f"environment should be a mapping of names to values, not {values!r}")
        merged.update({str(name): str(value) for name, value in values.items()})
    return merged


def varies(task: Task) -> bool:
    """May the items of a loop have places of their own?"""
    common = task.common
    said = [common.delegate_to, common.become, common.become_user, common.become_method, common.become_flags,
            common.become_exe, common.remote_user, common.port, common.connection, task.rollback,
            common.check_mode, common.diff, common.timeout, *common.environment]  # fmt: skip
    return task.loop is not None and may_be_anything(said)


class _Reach(Mapping[str, Any]):
    """The `ansible_*` variables of a host as they are read; where they are silent, what the task's keywords say."""

    def __init__(self, templar: Templar, there: Templar, task: Task, local: bool) -> None:
        self._namespace = there.namespace()
        common = task.common
        said = {("ansible_connection",): common.connection, ("ansible_user", "ansible_ssh_user"): common.remote_user,
                ("ansible_port", "ansible_ssh_port"): common.port}  # fmt: skip
        own = {names[0]: templar.render(value) for names, value in said.items()
               if value is not None and not any(name in self._namespace for name in names)}  # fmt: skip
        self._own = {name: value for name, value in own.items() if value is not None}
        if local:
            self._own.setdefault("ansible_connection", "local")

    def __getitem__(self, name: str) -> Any:
        return self._own[name] if name in self._own else self._namespace[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._namespace), **self._own})

    def __len__(self) -> int:
        return len(self._namespace)
