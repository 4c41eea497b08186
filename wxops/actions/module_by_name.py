"""A task whose module is a template: `action: "{{ ansible_facts.pkg_mgr }}"`."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.actions.catalog import module as module_named
from wxops.errors import InputError


def module_by_name(call: Call, module: str, arguments: dict[str, Any]) -> Result:
    """Run the module of that name, one that runs on the host alone.

    module: its name.
    arguments: what it is given.
    """
    found = module_named(module)
    if found.runs != "host":
        raise InputError(f"a template cannot name {found.name}, which has a part on the controller: write its name out")
    return call.run(found.name, arguments)
