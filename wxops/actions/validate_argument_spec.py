"""Holds variables and arguments against a specification, as each role that has one does before its first task."""

from __future__ import annotations

from typing import Any

from wxops.actions import Call, Result
from wxops.errors import InputError
from wxops.playbook import argument_spec as specification


def validate_argument_spec(
    call: Call,
    argument_spec: dict[str, Any],
    provided_arguments: dict[str, Any] | None = None,
    validate_args_context: dict[str, Any] | None = None,
) -> Result:
    """Fail unless variables are what a specification says: their types, choices, and that none is missing.

    argument_spec: names -> type, required, default, choices, elements, options... as in meta/argument_specs.yml.
    provided_arguments: arguments that stand over the variables of the same names.
    validate_args_context: comes back with the result, to tell what was looked at.
    """
    wrong = specification.check(argument_spec, "argument_spec")
    if wrong:
        raise InputError(wrong)
    known = call.templar.namespace()
    given = {name: call.templar.expression(f"vars[{name!r}]") for name in argument_spec if name in known}
    given.update(provided_arguments or {})
    call.templar.secrets.add(list(specification.secrets(argument_spec, given)))
    context = {"validate_args_context": validate_args_context or {}}
    errors = specification.problems(argument_spec, given)
    if errors:
        said = "Validation of arguments failed:\n" + "\n".join(errors)
        about = {"argument_errors": errors, "argument_spec_data": argument_spec}
        return {"changed": False, "failed": True, "msg": said, **about, **context}
    return {"changed": False, "msg": "The arg spec validation passed", **context}
