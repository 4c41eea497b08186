"""Checks that conditions hold."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result, succeed


def assert_(call: Call, that: Any, fail_msg: Any = None, success_msg: Any = None, quiet: bool = False) -> Result:
    """Fail unless all conditions hold.

    that: a condition, or a list of them, without braces.
    fail_msg: the message when one does not hold.
    success_msg: the message when all do.
    quiet: leave out the list of conditions.
    """
    for condition in _conditions(call, that):
        if not call.templar.condition(condition, what="assert"):
            return {"changed": False, "failed": True, "assertion": str(condition), "evaluated_to": False,
                    "msg": fail_msg or "Assertion failed"}  # fmt: skip
    return succeed(msg=success_msg or "All assertions passed")


def _conditions(call: Call, that: Any) -> list[Any]:
    """A list, or a template that gives one, or one condition."""
    if isinstance(that, str) and that.startswith("{{"):
        value = call.templar.render(that)
        return value if isinstance(value, list) else [value if isinstance(value, bool) else that]
    return that if isinstance(that, list) else [that]


RAW = frozenset({"that"})
ALIASES = {"msg": "fail_msg"}
