"""Shows a message or the value of a variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

from wxops.actions import Call, Result, succeed
from wxops.errors import InputError, TemplateError, UndefinedVariable, WxopsError
from wxops.playbook.jinja.lazy import plain
from wxops.playbook.jinja.undefined import error_of

HELLO = "Hello world!"


def debug(call: Call, msg: Any = HELLO, var: str | None = None, verbosity: int = 0) -> Result:
    """Print something during a run.

    msg: what to print.
    var: an expression whose value is printed instead.
    verbosity: print only with at least so many -v.
    """
    if var is not None and msg is not HELLO:
        raise InputError("parameters are mutually exclusive: msg|var")
    if verbosity > int(call.templar.namespace().get("ansible_verbosity", 0)):
        return succeed(skipped=True, skipped_reason="Verbosity threshold not met.")
    if var is None:
        return succeed(msg=msg)
    try:
        return succeed(**{var: call.templar.expression(var)})
    except TemplateError as error:
        met: list[WxopsError] = [] if isinstance(error, UndefinedVariable) else [error]
        value = _mark(error, 1) if met else _with_errors(call.templar.peek(var), met)
    told = "".join(f"\nerror {number} - {error.what}" for number, error in enumerate(met, 1))
    warning = f"Encountered {len(met)} template error{'s' * (len(met) > 1)}.{told}"
    return succeed(**{var: value}, warnings=[warning])


def _with_errors(value: Any, met: list[WxopsError]) -> Any:
    """A value with a sentence in the place of each part that is undefined."""
    if isinstance(value, jinja2.Undefined):
        met.append(error_of(value))
        return _mark(met[-1], len(met))
    if isinstance(value, Mapping):
        return {key: _with_errors(value[key], met) for key in list(value)}
    if isinstance(value, list | tuple):
        return [_with_errors(value[index], met) for index in range(len(value))]
    return plain(value)


def _mark(error: WxopsError, number: int) -> str:
    return f"<< error {number} - {error.what} >>"
