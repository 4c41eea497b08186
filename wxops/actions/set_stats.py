"""Figures that a run tells at its end."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.errors import InputError
from wxops.playbook.variable_names import check_name


def set_stats(call: Call, data: dict[str, Any], per_host: bool = False, aggregate: bool = True) -> Result:
    """Keep figures for the end of the run: its record has them, and the output where show_custom_stats is set.

    data: names and values.
    per_host: they are the host's, not the whole run's.
    aggregate: add to what is kept under the same name; false puts it in its place.
    """
    if not isinstance(data, dict):
        raise InputError(f"set_stats needs a mapping of names to values as data, not {data!r}")
    for name in data:
        check_name(name)
    return {"changed": False, "ansible_stats": {"data": data, "per_host": per_host, "aggregate": aggregate}}
