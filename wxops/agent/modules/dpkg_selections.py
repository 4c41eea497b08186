"""Holding a package at its version, and letting it go again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal

    from wxops.agent.change import Change


def dpkg_selections(
    change: Change, name: str, selection: Literal["install", "hold", "deinstall", "purge"]
) -> Dict[str, Any]:
    """Set what dpkg is to do with a package at the next upgrade. `apt` installs and removes packages, not this.

    name: the package.
    selection: `hold` keeps the version that is there; `install` lets upgrades through again.
    """
    entry = change.state("package", "dpkg")["packages"].get(name)
    if entry is None:
        raise ModuleFailure("dpkg knows no package %r on this host; install it before it is held" % name)
    change.set("package", "dpkg", {"packages": {name: dict(entry, want=selection)}})
    return {"before": entry["want"], "after": selection}
