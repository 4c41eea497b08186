"""Gathers facts, as plays do by themselves."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call


def prepare(
    call: Call,
    parallel: bool | None = None,
    gather_subset: list[str] | None = None,
    gather_timeout: int | None = None,
    filter: list[str] | None = None,
    fact_path: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """Gather facts about the host, as `setup` does.

    parallel: accepted for Ansible's sake: there is one module that gathers facts.
    gather_subset: which facts; see `wxops doc setup`.
    gather_timeout: seconds that one command or file system may take.
    filter: return only facts whose names match one of these shell patterns.
    fact_path: a directory of your own facts.
    """
    given = {"gather_subset": gather_subset, "gather_timeout": gather_timeout, "filter": filter, "fact_path": fact_path}
    return "setup", {name: value for name, value in given.items() if value is not None}
