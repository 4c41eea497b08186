"""A role's argument spec, and the task that holds variables against it before the role's first own task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook import argument_spec, roles, source
from wxops.playbook.plays import Common, Role, Task
from wxops.playbook.source import SourceDict

MODULE = "validate_argument_spec"


def validation(role: Role, entry: str, common: Common) -> tuple[Task, ...]:
    """The task for the file of tasks/ that is entered; none when the role says nothing of it. Raises InputError."""
    specs = _specs(role.path)
    about = specs.get(entry)
    if not about:
        return ()
    where = specs.at(entry)
    if not isinstance(about, SourceDict):
        raise InputError(f"the argument spec {entry!r} of a role should be a mapping", where=where)
    options = about.get("options") or {}
    wrong = argument_spec.check(options, "options")
    if wrong:
        raise InputError(f"the argument spec {entry!r}: {wrong}", where=about.at("options"))
    summary = about.get("short_description")
    name = f"Validating arguments against arg spec '{entry}'" + (f" - {summary}" if summary is not None else "")
    inside = replace(common, tags=common.tags | {"always"}, notify=())
    return (Task(where, MODULE, _arguments(role, entry, options, where), inside, name, outer=common),)


def _arguments(role: Role, entry: str, options: Mapping[str, Any], where: Origin) -> SourceDict:
    arguments = SourceDict(where)
    arguments.update(
        argument_spec=options,
        provided_arguments=role.params,
        validate_args_context={
            "type": "role", "name": role.path.name, "argument_spec_name": entry, "path": str(role.path),
        },
    )  # fmt: skip
    return arguments


def _specs(role: Path) -> SourceDict:
    """All specs of a role, by the name of the task file: of meta/argument_specs.yml, or else of meta/main.yml."""
    path = roles.part(role, "meta", "argument_specs")
    data = source.load_file(path) if path else roles.meta(role)
    found = data.get("argument_specs") if isinstance(data, dict) else None
    return found if isinstance(found, SourceDict) else SourceDict(Origin(str(path or role)))
