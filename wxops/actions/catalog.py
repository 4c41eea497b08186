"""All modules by name: files in agent/modules run on the host, files in actions have a part on the controller."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import wxops.agent.modules
from wxops.errors import InputError, Origin, nearest
from wxops.playbook.signature import Signature

HERE = Path(__file__).parent
HOST_MODULES = Path(wxops.agent.modules.__file__).parent
NOT_MODULES = frozenset({"catalog"})
FOR_THE_ENGINE = frozenset({"rollback"})
PREFIXES = ("ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "community.docker.")


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


def short_name(name: str) -> str:
    """`ansible.builtin.copy` -> `copy`; a name of another collection stays as it is."""
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


@functools.cache
def names() -> tuple[str, ...]:
    """All module names, sorted."""
    files = {path.stem.rstrip("_") for folder in (HERE, HOST_MODULES) for path in folder.glob("[a-z]*.py")}
    return tuple(sorted(files - NOT_MODULES - FOR_THE_ENGINE))


def module(name: str, where: Origin | None = None) -> Module:
    """The module with this name. Raises InputError with the nearest known one."""
    short = short_name(name)
    if short not in names() and short not in FOR_THE_ENGINE:
        raise InputError(f"there is no module {name!r}", where=where, fix=nearest(short, list(names())))
    return _module(short)


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
