"""The lookups: what a template or a `with_...` loop finds on the controller.

    run("fileglob", ["*.conf"], templar) -> ["/srv/play/files/a.conf", ...]

A lookup is a function of its terms, the templar and its options; the options are its keyword arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from wxops.errors import TemplateError, WxopsError, nearest
from wxops.playbook.jinja import lookups_files, lookups_lists, lookups_settings, lookups_web
from wxops.playbook.jinja.convert import reason, truth
from wxops.playbook.jinja.undefined import Tripped, Undefined

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar

Lookup = Callable[..., list[Any]]

LOOKUPS: dict[str, Lookup] = {
    **lookups_lists.LOOKUPS,
    **lookups_files.LOOKUPS,
    **lookups_settings.LOOKUPS,
    **lookups_web.LOOKUPS,
}


OF_WHAT_IS_DEFINED = frozenset({"first_found"})
"""Lookups that, as with_NAME, pass over terms that are undefined: one of several is enough."""


def run(name: str, terms: Any, templar: Templar, options: Mapping[str, Any]) -> list[Any]:
    """What a lookup finds for its terms: a list of them, or one."""
    short = short_name(name)
    if short not in LOOKUPS:
        raise TemplateError(f"there is no lookup {name!r}", fix=nearest(short, list(LOOKUPS)))
    given = _checked(short, options)
    try:
        return LOOKUPS[short](terms if isinstance(terms, list) else [terms], templar, **given)
    except (WxopsError, RecursionError, Tripped):
        raise
    except Exception as error:
        raise TemplateError(f"the lookup {short!r} failed: {reason(error)}") from error


def short_name(name: str) -> str:
    """The name without the collection that all of these are in."""
    return name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, each known and of the type that the lookup declares."""
    known = _options(name)
    for option in options:
        if option not in known:
            fix = nearest(option, list(known)) if known else f"{name!r} takes no options"
            raise TemplateError(f"the lookup {name!r} has no option {option!r}", fix=fix)
    return {option: _converted(name, option, value, known[option]) for option, value in options.items()}


@cache
def _options(name: str) -> dict[str, str]:
    parameters = inspect.signature(LOOKUPS[name]).parameters.values()
    return {each.name: str(each.annotation) for each in parameters if each.kind is each.KEYWORD_ONLY}


def _converted(name: str, option: str, value: Any, kind: str) -> Any:
    if isinstance(value, Undefined) or value is None:
        return value
    if kind == "bool":
        return bool(truth(value))
    try:
        return int(value) if kind.startswith("int") else float(value) if kind == "float" else value
    except (TypeError, ValueError):
        raise TemplateError(f"the option {option!r} of the lookup {name!r} must be a number, not {value!r}") from None
