"""What stands between a template and a filter or test: undefined values pass by it, and its errors name it."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import wraps
from typing import Any

from wxops.errors import TemplateError, WxopsError
from wxops.playbook.jinja.convert import reason
from wxops.playbook.jinja.undefined import Failure, Tripped, Undefined

Function = Callable[..., Any]

_ASK_FOR_UNDEFINED = frozenset({"default", "d", "defined", "undefined", "mandatory", "type_debug"})
_ASK_FOR_FAILURES = frozenset({"vault_encrypted"})
_ITERATORS = (Iterator, KeysView, ValuesView, ItemsView)


def named(functions: Mapping[str, Any], kind: str) -> dict[str, Function]:
    """The functions, guarded, under their short and their full names."""
    guards = {name: guarded(name, function, kind) for name, function in functions.items()}
    full = {f"ansible.builtin.{name}": function for name, function in guards.items() if name.isidentifier()}
    legacy = {f"ansible.legacy.{name}": function for name, function in guards.items() if name.isidentifier()}
    return guards | full | legacy


def guarded(name: str, function: Function, kind: str) -> Function:
    """The function, whose result is an undefined argument if there is one: so default() after it still applies."""
    passing = () if name in _ASK_FOR_FAILURES else Failure if name in _ASK_FOR_UNDEFINED else Undefined

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        for argument in (*arguments, *options.values()):
            if isinstance(argument, passing):
                return argument
        try:
            return listed(function(*arguments, **options))
        except Tripped as trip:
            return trip.source
        except (WxopsError, RecursionError):
            raise
        except Exception as error:
            raise TemplateError(f"the {kind} {name!r} failed: {_said(error, function, name)}") from error

    return call


def _said(error: Exception, function: Function, name: str) -> str:
    """What an error says, with the filter's name for that of our function: in `f() got an unexpected argument`."""
    return reason(error).replace(f"{getattr(function, '__name__', name)}()", name)


def listed(result: Any) -> Any:
    """Iterators as lists: a result may be read more than once."""
    return list(result) if isinstance(result, _ITERATORS) else result
