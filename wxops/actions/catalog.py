"""All modules by name: files in agent/modules run on the host, files in actions have a part on the controller."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import wxops.agent.modules
from wxops.actions import collections
from wxops.errors import InputError, MissingModule, Origin, nearest
from wxops.playbook.signature import Signature

HERE = Path(__file__).parent
HOST_MODULES = Path(wxops.agent.modules.__file__).parent
NOT_MODULES = frozenset({"catalog", "collections"})
FOR_THE_ENGINE = frozenset({"rollback", "module_by_name", "missing_module"})
REMEDY = "`wxops doc` lists the modules that there are; behind a `when` that holds for no host it may stay"
NO_ASYNC = frozenset({"async_status", "raw", "assemble"})
"""Modules of the host's that Ansible does not let run with `async`, for it gives them a part on the controller."""


@dataclass(frozen=True)
class Module:
    """A module: its signature, and where its first part runs.

    host: the agent's function takes the arguments as they are. prepare: `function(call, ...)` turns them into
    (agent module, its arguments) without asking the host. action: `function(call, ...)` does the task.
    """

    name: str
    signature: Signature
    runs: Literal["host", "prepare", "action"]
    function: Callable[..., Any]

    @property
    def supports_async(self) -> bool:
        """Can it go on without the controller? Of those with a part there only `uri` can, as in Ansible."""
        return self.name == "uri" or (self.runs == "host" and self.name not in NO_ASYNC)


@functools.cache
def names() -> tuple[str, ...]:
    """All module names, sorted."""
    files = {path.stem.rstrip("_") for folder in (HERE, HOST_MODULES) for path in folder.glob("[a-z]*.py")}
    return tuple(sorted(files - NOT_MODULES - FOR_THE_ENGINE))


def module(name: str, where: Origin | None = None) -> Module:
    """The module with this short or full name. Raises InputError with the nearest known one."""
    short = collections.short_name(name)
    if short is None or (short not in names() and short not in FOR_THE_ENGINE):
        raise _unknown(name, where)
    return _module(short)


def action_group(name: str, where: Origin | None = None) -> frozenset[str]:
    """The modules of an action group, as `module_defaults` names it without `group/`. Raises InputError."""
    known = collections.GROUPS.get(name.removeprefix("ansible.builtin."))
    if known is None:
        fix = nearest(name, list(collections.GROUPS))
        raise InputError(f"there is no action group {name!r} among the modules of wxops", where=where, fix=fix)
    return known.intersection(names())


def collection(name: str, where: Origin | None = None) -> None:
    """Refuse the name of a collection that wxops has no module of."""
    if name not in collections.names():
        fix = f"it has modules of {', '.join(collections.names())}"
        raise InputError(f"wxops has nothing of a collection {name!r}", where=where, fix=fix)


def _unknown(name: str, where: Origin | None) -> InputError:
    """A name that nobody has, or one that Ansible has."""
    of = collections.of(name)
    if of is not None:
        return MissingModule(f"{name!r} is a module of {of}, but wxops does not have it yet", where=where, fix=REMEDY)
    of = collections.elsewhere(name)
    if of is not None:
        return MissingModule(f"{name!r} is a module of {of}, of which wxops has none", where=where, fix=REMEDY)
    kind = MissingModule if name.count(".") == 2 and name.rpartition(".")[0] not in collections.names() else InputError
    return kind(f"there is no module {name!r}", where=where, fix=_instead_of(name))


def _instead_of(name: str) -> str:
    """The nearest module under the name that it would have: a full one for a full one."""
    of, _, short = name.rpartition(".")
    if of and of not in collections.names():
        return f"wxops has modules of {', '.join(collections.names())}"
    return nearest(name, [collections.full_name(each) for each in names()]) if of else nearest(short, list(names()))


@functools.cache
def host_signature(name: str) -> Signature:
    """The interface of a module's part on the host: what an action hands over, not what operators write."""
    file = import_module(f"wxops.agent.modules.{name}")
    return Signature.of(name, getattr(file, name), vars(file))


@functools.cache
def _module(name: str) -> Module:
    stem = next((stem for stem in (name, name + "_") if (HERE / f"{stem}.py").is_file()), None)
    if stem is None:
        file = import_module(f"wxops.agent.modules.{name}")
        function = getattr(file, name)
        return Module(name, Signature.of(name, function, vars(file)), "host", function)
    file = import_module(f"wxops.actions.{stem}")
    prepared = getattr(file, "prepare", None)
    function = prepared or getattr(file, stem)
    return Module(name, Signature.of(name, function, vars(file)), "prepare" if prepared else "action", function)
