"""Sets variables on a host for the rest of the run."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.errors import InputError


def set_fact(call: Call, cacheable: bool = False, **facts: Any) -> Result:
    """Set variables on this host.

    cacheable: keep them among the facts as well.
    """
    if not facts:
        raise InputError("set_fact needs at least one name: value")
    wrong = next((name for name in facts if not name.isidentifier()), None)
    if wrong is not None:
        raise InputError(
            f"{wrong!r} cannot be a variable's name", fix="letters, digits and _, not beginning with a digit"
        )
    return {"changed": False, "ansible_facts": facts, "_cacheable": cacheable}
