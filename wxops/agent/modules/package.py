"""Packages, by whichever package manager the host has."""

from __future__ import annotations

import inspect
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.apt import apt
from wxops.agent.modules.dnf import dnf

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.change import Change

MANAGERS = {"apt": "apt-get", "dnf": "dnf"}
"""The modules that manage packages, each with the command that tells whether a host has it; the first one counts."""
MORE = (apt, dnf)
"""Whose arguments may be given as well."""
OTHER_NAMES = {"dnf4": "dnf", "yum": "dnf", "yum4": "dnf"}


def package(
    change: Change,
    name: List[str],
    state: Literal["absent", "build-dep", "fixed", "installed", "latest", "present", "removed"] = "present",
    use: str = "auto",
    update_cache: bool = False,
    **more: Any,
) -> Dict[str, Any]:
    """Install, upgrade and remove packages with the host's own package manager.

    It also takes what that manager's module takes: see `wxops doc apt` and `wxops doc dnf`.

    name: the packages, in the manager's own way of writing names and versions.
    state: present, latest or absent, or what else the manager's module knows.
    use: the module to use; by default that of the manager which the host has.
    update_cache: fetch the package lists first.
    """
    manager = _found() if use == "auto" else OTHER_NAMES.get(use, use)
    if manager not in MANAGERS:
        raise ModuleFailure("`package` has no module for %s; it knows %s" % (manager, ", ".join(MANAGERS)))
    module = apt if manager == "apt" else dnf
    unknown = sorted(set(more) - set(inspect.signature(module).parameters))
    if unknown:
        raise ModuleFailure("Unsupported parameters for (%s) module: %s" % (manager, ", ".join(unknown)))
    known = {"installed": "present", "removed": "absent"}
    return module(change, name=name, state=known.get(state, state), update_cache=update_cache, **more)  # type: ignore[arg-type]


def _found() -> str:
    found: Optional[str] = next((name for name, command in MANAGERS.items() if shutil.which(command)), None)
    if found is None:
        raise ModuleFailure("this host has none of the package managers that `package` knows: %s" % ", ".join(MANAGERS))
    return found
