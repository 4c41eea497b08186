"""Brings in the tasks of a file while the play runs."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.errors import InputError

FREE_FORM = "file"
RAW = frozenset({"apply"})


def include_tasks(call: Call, file: str | None = None, apply: dict[str, Any] | None = None) -> Result:
    """Run the tasks of another file here. `import_tasks` does the same when the playbook is loaded.

    file: the file, beside this one or in the role's tasks/.
    apply: keywords (tags, become...) for the tasks in it.
    """
    if not file:
        raise InputError("include_tasks needs a file")
    return {"changed": False, "include": file, "_include": {"file": file, "apply": apply}}
