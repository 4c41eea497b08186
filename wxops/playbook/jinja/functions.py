"""The functions of a template that are neither filter nor test: lookup, query, now, undef; and omit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from wxops.errors import TemplateError, WxopsError
from wxops.playbook.jinja.evaluation import current, volatile
from wxops.playbook.jinja.lazy import OMIT, plain
from wxops.playbook.jinja.lookups import run
from wxops.playbook.jinja.undefined import Undefined

_F = TypeVar("_F", bound=Callable[..., Any])
_log = logging.getLogger(__name__)


def takes_undefined(function: _F) -> _F:
    """Marks a function that looks at undefined arguments itself."""
    function.takes_undefined = True  # type: ignore[attr-defined]
    return function


@takes_undefined
def lookup(name: Any, /, *terms: Any, errors: str = "strict", wantlist: bool = False, **options: Any) -> Any:
    """What the controller finds: one value as it is, several texts joined by commas; a list with `wantlist`."""
    missing = next((each for each in (name, *terms) if isinstance(each, Undefined)), None)
    if missing is not None:
        return missing
    if errors not in ("strict", "warn", "ignore"):
        raise TemplateError(f"errors must be strict, warn or ignore, not {errors!r}")
    found = _found(str(name), terms, errors, options)
    if found is None:
        return [] if wantlist else None
    if wantlist:
        return found
    if len(found) == 1:
        return found[0]
    return ",".join(found) if found and all(isinstance(each, str) for each in found) else found


@takes_undefined
def query(name: Any, /, *terms: Any, **options: Any) -> Any:
    """The same, always as a list."""
    return lookup(name, *terms, **{**options, "wantlist": True})


def _found(name: str, terms: tuple[Any, ...], errors: str, options: dict[str, Any]) -> list[Any] | None:
    """What a lookup found; None if it failed and may."""
    evaluation = current.get()
    assert evaluation is not None, "templates are evaluated by a Templar"
    volatile()
    given = {key: value if isinstance(value, Undefined) else plain(value) for key, value in options.items()}
    try:
        return run(name, plain(terms), evaluation.templar, given)
    except WxopsError as error:
        if errors == "strict":
            raise
        if errors == "warn":
            _log.warning("the lookup %r failed: %s", name, error)
        return None


def now(utc: bool = False, fmt: str | None = None) -> Any:
    """The time on the controller; with `fmt` as text (strftime)."""
    volatile()
    moment = datetime.now(UTC).replace(tzinfo=None) if utc else datetime.now()
    return moment.strftime(fmt) if fmt else moment


@takes_undefined
def undef(hint: str | None = None) -> Undefined:
    """A value that is missing on purpose: a role's variable that its user must set."""
    return Undefined(hint or "this variable must be set: it has no default")


GLOBALS: dict[str, Any] = {
    "lookup": lookup,
    "query": query,
    "q": query,
    "now": now,
    "undef": undef,
    "omit": OMIT,
    "range": range,
}
