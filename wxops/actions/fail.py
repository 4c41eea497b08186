"""Fails on purpose."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result


def fail(call: Call, msg: Any = "Failed as requested from task") -> Result:
    """Fail with a message.

    msg: why.
    """
    return {"changed": False, "failed": True, "msg": msg}
