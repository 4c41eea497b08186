"""Dictionaries and lists of variables as a template sees them: a member is evaluated when it is read.

So an unused member may refer to what does not exist, and members may refer to each other. They are real dicts and
lists, because filters ask; what needs all members at once first evaluates all (`_settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import jinja2

from wxops.errors import TemplateError
from wxops.playbook.jinja.evaluation import current
from wxops.playbook.jinja.undefined import Failure, Tripped, Undefined, error_of
from wxops.playbook.source import SourceStr

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar


class OmitType:
    """The type of OMIT."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = OmitType()
"""What `omit` evaluates to: the argument is left out."""


class DecryptedStr(SourceStr):
    """A secret from a vault: still a template, and known to have been encrypted."""

    __slots__ = ()


_SCALARS = frozenset({str, int, float, bool, type(None), date, datetime, OmitType})


class Owner:
    """Whose members these are: the scope that evaluates them and the variable that they were reached through.

    names: what the members read so far have read in turn.
    """

    __slots__ = ("names", "templar", "variable")

    def __init__(self, templar: Templar, variable: str | None) -> None:
        self.templar, self.variable = templar, variable
        self.names: set[str] = set()

    def noted(self) -> None:
        """Adds what the members have read to what the current template has."""
        evaluation = current.get()
        if evaluation is not None:
            evaluation.names |= self.names


def view(value: Any, owner: Owner) -> Any:
    """A value of a variable as a template sees it. Missing values come as such; nothing is raised."""
    kind = type(value)
    if kind in _SCALARS or kind is LazyDict or kind is LazyList:
        return value
    if isinstance(value, SourceStr):
        return owner.templar.text_in(value, owner)
    if isinstance(value, dict):
        return LazyDict(value, owner)
    if isinstance(value, (list, tuple)):
        return LazyList(value, owner)
    return value


class LazyDict(dict[Any, Any]):
    """A dict whose values are evaluated when they are read."""

    __slots__ = ("_owner",)

    def __init__(self, values: Mapping[Any, Any], owner: Owner) -> None:
        super().__init__(values)
        self._owner = owner

    def __getitem__(self, key: Any) -> Any:
        raw = super().__getitem__(key)
        value = view(raw, self._owner)
        if value is not raw:
            super().__setitem__(key, value)
        if self._owner.names:
            self._owner.noted()
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - it is what makes get() evaluate

    def __iter__(self) -> Iterator[Any]:
        # Present so that dict(x), {**x} and x | y read through __getitem__ instead of copying what is not evaluated.
        return super().__iter__()

    def _settle(self) -> None:
        for key in self:
            self[key]

    def _demand(self) -> None:
        """What hands out all values needs their content: none may be undefined."""
        for key in self:
            if isinstance(value := self[key], Undefined):
                raise Tripped(value)

    def _changing(self) -> None:
        """A template that changes a variable changes its own copy: others make a new one."""
        self._settle()
        self._owner.templar.forget(self._owner.variable)


class LazyList(list[Any]):
    """A list whose elements are evaluated when they are read."""

    __slots__ = ("_owner",)

    def __init__(self, values: list[Any] | tuple[Any, ...], owner: Owner) -> None:
        super().__init__(values)
        self._owner = owner

    def _at(self, index: int) -> Any:
        raw = super().__getitem__(index)
        value = view(raw, self._owner)
        if value is not raw:
            super().__setitem__(index, value)
        if self._owner.names:
            self._owner.noted()
        return value

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._at(each) for each in range(*index.indices(len(self)))]
        return self._at(index)

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while index < len(self):  # the list may grow while a template walks over it
            yield self._at(index)
            index += 1

    def __radd__(self, other: list[Any]) -> list[Any]:
        return [*other, *self]

    def _settle(self) -> None:
        for index in range(len(self)):
            self._at(index)

    _changing = LazyDict._changing


def _after(prepare: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of dict or list, run on evaluated members."""

    def settled(self: Any, *arguments: Any, **named: Any) -> Any:
        getattr(self, prepare)()
        return method(self, *arguments, **named)

    settled.__name__ = method.__name__
    return settled


_READ_ALL: dict[type, tuple[str, ...]] = {
    dict: ("copy", "__eq__", "__ne__", "__repr__", "__or__", "__ror__"),
    list: (
        *("index", "count", "copy", "__contains__", "__reversed__", "__repr__", "__add__", "__mul__", "__rmul__"),
        *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    ),
}
_CHANGE: dict[type, tuple[str, ...]] = {
    dict: ("pop", "popitem", "setdefault", "update", "clear", "__ior__"),
    list: ("pop", "append", "extend", "insert", "remove", "sort", "reverse", "clear", "__iadd__", "__imul__"),
}
for _name in ("values", "items"):
    setattr(LazyDict, _name, _after("_demand", getattr(dict, _name)))
for _kind, _base in ((LazyDict, dict), (LazyList, list)):
    for _name in _READ_ALL[_base]:
        setattr(_kind, _name, _after("_settle", getattr(_base, _name)))
    for _name in _CHANGE[_base]:
        setattr(_kind, _name, _after("_changing", getattr(_base, _name)))


def present(value: Any) -> Any:
    """The same as `plain`, without members that are undefined; OMIT if that is all there is."""
    if isinstance(value, jinja2.Undefined) and not isinstance(value, Failure):
        return OMIT
    if isinstance(value, Mapping):
        pairs = ((plain(key), present(value[key])) for key in value)
        return {key: item for key, item in pairs if item is not OMIT}
    if isinstance(value, (list, tuple)):
        return [item for item in map(present, value) if item is not OMIT]
    return plain(value)


def kept(value: Any, templar: Templar) -> Any:
    """A value with its templates evaluated, as data in which the operator's own texts stay such.

    So they may still be conditions: of a loop's item, of a fact that a playbook sets.
    """
    return _kept(view(value, Owner(templar, None)))


def _kept(value: Any) -> Any:
    if type(value) is SourceStr:
        return value
    if isinstance(value, Mapping):
        return {plain(key): item for key, item in ((key, _kept(value[key])) for key in value) if item is not OMIT}
    if isinstance(value, (list, tuple)):
        return [item for item in map(_kept, value) if item is not OMIT]
    return plain(value)


def plain(value: Any) -> Any:
    """The result of a template as data: str, int, float, bool, None, dates, and dicts and lists of them.

    Members that are OMIT are left out; one that is undefined raises its error.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items() if item is not OMIT}
    if isinstance(value, (list, tuple, range, Set)):
        return [plain(item) for item in value if item is not OMIT]
    if isinstance(value, jinja2.Undefined):
        raise error_of(value)
    if isinstance(value, (bool, int, float)):
        return value
    raise TemplateError(f"the result is of type {kind.__name__!r}, which is not data")
