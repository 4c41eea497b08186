"""Steers the play itself."""

from __future__ import annotations

from typing import Literal

from wxops.actions import Call, Result

FREE_FORM = "_raw_params"
Steering = Literal[
    "flush_handlers", "noop", "end_play", "end_batch", "end_host", "end_role", "clear_facts", "clear_host_errors",
    "reset_connection", "refresh_inventory",
]  # fmt: skip


def meta(call: Call, _raw_params: Steering) -> Result:
    """Run notified handlers now, end the play for a host or for all, and the like.

    The word behind it: flush_handlers, noop, end_play, end_batch, end_host, end_role, clear_facts,
    clear_host_errors, reset_connection, refresh_inventory.
    """
    return {"changed": False, "_meta": _raw_params}
