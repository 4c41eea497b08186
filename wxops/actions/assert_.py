"""Checks that conditions hold."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result, succeed
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.source import SourceStr


def assert_(call: Call, that: Any, fail_msg: Any = None, success_msg: Any = None, quiet: bool = False) -> Result:
    """Fail unless all conditions hold.

    that: a condition, or a list of them, without braces; or a template that gives a list of them.
    fail_msg: the message when one does not hold.
    success_msg: the message when all do.
    quiet: leave out the list of conditions.
    """
    for condition in _conditions(call, that):
        if not call.templar.condition(condition, what="assert"):
            said = condition if isinstance(condition, bool) else str(condition)
            return {"changed": False, "failed": True, "assertion": said, "evaluated_to": False,
                    "msg": fail_msg or "Assertion failed"}  # fmt: skip
    return succeed(msg=success_msg or "All assertions passed")


def _conditions(call: Call, that: Any) -> list[Any]:
    """A list, or a template that gives one, or one condition. Texts of the operator's are conditions, no others."""
    found = call.templar.members(that) if isinstance(that, SourceStr) and has_template(that) else None
    if found is not None:
        return found
    return that if isinstance(that, list) else [that]


RAW = frozenset({"that"})
ALIASES = {"msg": "fail_msg"}
