"""A value that is not there: it may be asked for with `is defined` and default(), and for nothing else.

ansible-core 2.19 lets such a value travel: through attributes (`a.b.c | default(1)`), nested variables and filters.
Whoever needs its content meets an error that names the variable and the place where it was first missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

import jinja2
from jinja2.exceptions import UndefinedError
from jinja2.utils import missing

from wxops.errors import TemplateError, UndefinedVariable, WxopsError
from wxops.playbook.jinja.evaluation import Evaluation, Spot, current, spot_of_caller


class Tripped(UndefinedError):
    """The content of an undefined value was needed; ends the evaluation, whose result is then that value."""

    def __init__(self, source: Undefined) -> None:
        super().__init__("an undefined value was used")
        self.source = source


class Undefined(jinja2.StrictUndefined):
    """A variable, attribute or element that is missing, and the template that missed it."""

    __slots__ = ("_evaluation", "_spot")
    _evaluation: Evaluation | None
    _spot: Spot | None

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: type[Exception] = UndefinedError
    ) -> None:
        super().__init__(hint, obj, name)
        self._evaluation = current.get()
        self._spot = spot_of_caller(sys._getframe(1))

    def __getattr__(self, name: str) -> Undefined:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Undefined:  # type: ignore[override]
        return self

    def _trip(self, *_: Any, **__: Any) -> NoReturn:
        raise Tripped(self)


def _operations_that_need_content() -> Iterator[str]:
    """What jinja's strict undefined refuses, except subscription; and repr, so that none slips into a text."""
    yield "__repr__"
    refused = jinja2.StrictUndefined.__iter__
    for name in dir(jinja2.StrictUndefined):
        if getattr(jinja2.StrictUndefined, name) is refused and name != "__getitem__":
            yield name


for _name in _operations_that_need_content():
    setattr(Undefined, _name, Undefined._trip)


class Failure(Undefined):
    """A variable whose own template failed. default() does not hide it, but nobody hears of it who does not use it."""

    __slots__ = ("_error",)
    _error: WxopsError

    def __init__(self, error: WxopsError) -> None:
        super().__init__(error.what)
        self._error = error


def error_of(value: jinja2.Undefined) -> WxopsError:
    """What to tell the operator about a value that is missing."""
    if isinstance(value, Failure):
        return value._error
    if not isinstance(value, Undefined):  # jinja's own, of an `if` expression without `else`
        return TemplateError(value._undefined_message, fix="give the expression an `else`")
    what, near = _described(value)
    evaluation = value._evaluation
    if evaluation is None:
        return UndefinedVariable(what, fix=near)
    return UndefinedVariable(what, where=evaluation.place(value._spot), fix=remedy(evaluation, value._spot, near))


def remedy(evaluation: Evaluation, spot: Spot | None = None, advice: str | None = None) -> str:
    """The advice, the template's text at that line, and the place that needed it if that is another one."""
    parts = [advice] if advice else []
    line = evaluation.text_at(spot)
    if line is not None:
        parts.append(f"in: {_short(line)}")
    outermost = list(evaluation.outward())[-1]
    if outermost is not evaluation and outermost.origin:
        variable = f"the variable {evaluation.variable!r} " if evaluation.variable else ""
        parts.append(f"{variable}used at {outermost.origin}")
    return "\n  ".join(parts)


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def _described(value: Undefined) -> tuple[str, str | None]:
    """The error's sentence, and a near name if there is one."""
    name, container = value._undefined_name, value._undefined_obj
    if value._undefined_hint:
        return value._undefined_hint, None
    if container is missing:
        known = value._evaluation.templar.names() if value._evaluation else []
        return f"{name!r} is undefined", _near(str(name), known)
    kind, path = type_name(container), _path_to(value)
    if isinstance(container, (list, tuple)) and isinstance(name, int):
        owner = f"{path} has" if path else "it has"
        return f"{kind} object has no element {name} ({owner} {len(container)})", None
    keys = [str(key) for key in container] if isinstance(container, Mapping) else []
    missed = f"object of type {kind!r} has no attribute {name!r}" + (f", read from {path}" if path else "")
    return missed, _near(str(name), keys) or _listed(keys)


def _near(name: str, known: list[str]) -> str | None:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def _listed(keys: list[str]) -> str | None:
    return f"it has: {', '.join(sorted(keys))}" if 0 < len(keys) <= 12 else None


def type_name(value: Any) -> str:
    """The name of a value's type as an operator knows it: of a lazy or remembering one, its plain name."""
    plain = next((kind for kind in (str, dict, list, tuple) if isinstance(value, kind)), type(value))
    return "dict" if isinstance(value, Mapping) else plain.__name__


def _path_to(value: Undefined) -> str | None:
    """The expression in the template from which the attribute was read, such as 'server.tls' (ansible#35828)."""
    evaluation = value._evaluation
    if evaluation is None or evaluation.text_at(value._spot) is None:
        return None
    paths = list(evaluation.templar.environment.readers_of(evaluation.text, value._undefined_name))
    if len(paths) > 1:
        paths = [path for path in paths if evaluation.templar.peek(path) is value._undefined_obj]
    return f"{paths[0]!r}" if paths else None
