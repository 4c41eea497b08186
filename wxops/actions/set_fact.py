"""Sets variables on a host for the rest of the run."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.errors import InputError
from wxops.playbook.variable_names import check_name


def set_fact(call: Call, cacheable: bool = False, **facts: Any) -> Result:
    """Set variables on this host.

    cacheable: keep them among the facts as well.
    """
    if not facts:
        raise InputError("set_fact needs at least one name: value")
    for name in facts:
        check_name(name)
    return {"changed": False, "ansible_facts": facts, "_cacheable": cacheable}
