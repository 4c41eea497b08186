"""Shows a message or the value of a variable."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result, succeed
from wxops.errors import TemplateError, UndefinedVariable


def debug(call: Call, msg: Any = "Hello world!", var: str | None = None, verbosity: int = 0) -> Result:
    """Print something during a run.

    msg: what to print.
    var: an expression whose value is printed instead.
    verbosity: print only with at least so many -v.
    """
    if verbosity > int(call.templar.namespace().get("ansible_verbosity", 0)):
        return succeed(skipped=True, skipped_reason="Verbosity threshold not met.")
    if var is None:
        return succeed(msg=msg)
    try:
        value = call.templar.expression(var)
    except (UndefinedVariable, TemplateError):
        value = "VARIABLE IS NOT DEFINED!"
    return succeed(**{var: value})
