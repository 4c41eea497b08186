"""Brings in a role while the play runs."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result

ALIASES = {"role": "name"}
RAW = frozenset({"apply"})


def include_role(
    call: Call,
    name: str,
    tasks_from: str = "main",
    vars_from: str = "main",
    defaults_from: str = "main",
    handlers_from: str = "main",
    apply: dict[str, Any] | None = None,
    public: bool | None = None,
    allow_duplicates: bool = True,
    rolespec_validate: bool = True,
) -> Result:
    """Run a role here. `import_role` does the same when the playbook is loaded.

    name: the role.
    tasks_from: a file of its tasks/ instead of main.
    vars_from: a file of its vars/ instead of main.
    defaults_from: a file of its defaults/ instead of main.
    handlers_from: a file of its handlers/ instead of main.
    apply: keywords (tags, become...) for its tasks.
    public: let the rest of the play see its variables.
    allow_duplicates: no means not where it was included before with the same variables, and a task of it ran.
    rolespec_validate: hold its variables against its argument spec before its first task.
    """
    parts = {
        "tasks_from": tasks_from,
        "vars_from": vars_from,
        "defaults_from": defaults_from,
        "handlers_from": handlers_from,
        "validate": rolespec_validate,
        "once": not allow_duplicates,
    }
    return {"changed": False, "_include": {"role": name, "parts": parts, "apply": apply, "public": public}}
