"""Lookups that arrange lists: what `with_items`, `with_dict`, `with_sequence` and their like walk over."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wxops.errors import TemplateError
from wxops.playbook.jinja.filters_data import dict2items
from wxops.playbook.jinja.key_values import with_pairs
from wxops.playbook.jinja.undefined import type_name

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar


def _flat(terms: list[Any]) -> list[Any]:
    """Lists among the terms dissolved, one level deep."""
    return [item for term in terms for item in (term if isinstance(term, list) else [term])]


def items(terms: list[Any], templar: Templar) -> list[Any]:
    return _flat(terms)


def as_is(terms: list[Any], templar: Templar) -> list[Any]:
    return terms


def of_dict(terms: list[Any], templar: Templar) -> list[Any]:
    wrong = next((term for term in terms if not isinstance(term, Mapping)), None)
    if wrong is not None:
        raise TypeError(f"the dict lookup plugin expects a dictionary, not {type_name(wrong)}")
    return [pair for term in terms for pair in dict2items(term)]


def nested(terms: list[Any], templar: Templar) -> list[Any]:
    """Every combination of one element from each list."""
    if not terms:
        raise ValueError("with_nested requires at least one element in the nested list")
    lists = [term if isinstance(term, list) else [term] for term in terms]
    return [_flat(list(combination)) for combination in itertools.product(*lists)]


def together(terms: list[Any], templar: Templar) -> list[Any]:
    """First with first, second with second; None where a list is shorter."""
    if not terms:
        raise ValueError("with_together requires at least one element in each list")
    lists = [term if isinstance(term, list) else [term] for term in terms]
    return [_flat(list(row)) for row in itertools.zip_longest(*lists)]


def indexed_items(terms: list[Any], templar: Templar) -> list[Any]:
    return [[index, item] for index, item in enumerate(_flat(terms))]


def random_choice(terms: list[Any], templar: Templar) -> list[Any]:
    return [secrets.choice(terms)] if terms else []


def subelements(terms: list[Any], templar: Templar) -> list[Any]:
    """Each dictionary, without its list, with each element of that list: terms are dictionaries, name, flags."""
    if len(terms) not in (2, 3) or not isinstance(terms[1], str):
        raise ValueError("it takes a list of dictionaries, the name of a list in each, and flags")
    flags = terms[2] if len(terms) == 3 else {}
    unknown = set(flags) - {"skip_missing"} if isinstance(flags, Mapping) else {str(flags)}
    if unknown:
        raise ValueError(f"its only flag is skip_missing, not {', '.join(sorted(unknown))}")
    elements = terms[0].values() if isinstance(terms[0], Mapping) else terms[0]
    rows: list[Any] = []
    for element in elements:
        if not isinstance(element, Mapping):
            raise TypeError(f"each item must be a dictionary, not {type_name(element)}")
        if not element.get("skipped"):
            rest, inner = _without(element, terms[1].split("."), bool(flags.get("skip_missing")))
            rows += [[rest, each] for each in inner]
    return rows


def _without(element: Mapping[str, Any], path: list[str], skip_missing: bool) -> tuple[dict[str, Any], list[Any]]:
    """A dictionary without the list at the path, and that list."""
    rest, name = dict(element), path[0]
    if name not in rest:
        if skip_missing:
            return rest, []
        raise ValueError(f"an item has no {name!r}; the flag {{'skip_missing': true}} leaves it out")
    inner = rest.pop(name)
    if len(path) > 1:
        if inner is None and skip_missing:
            return rest, []
        if not isinstance(inner, Mapping):
            raise TypeError(f"{name!r} must be a dictionary, not {type_name(inner)}")
        rest[name], inner = _without(inner, path[1:], skip_missing)
    if not isinstance(inner, list):
        raise TypeError(f"{name!r} must be a list, not {type_name(inner)}")
    return rest, inner


_SHORT = re.compile(
    r"(?:(?P<start>0x[0-9a-f]+|-?\d+)-)?(?P<end>0x[0-9a-f]+|\d+)(?:/(?P<stride>-?\d+))?(?::(?P<format>.+))?"
)


def sequence(
    terms: list[Any],
    templar: Templar,
    *,
    start: int = 1,
    end: int | None = None,
    count: int | None = None,
    stride: int | None = None,
    format: str = "%d",
) -> list[Any]:
    """Numbers as texts: `start=1 end=9 stride=2 format=host%02d`, or short `1-9/2:host%02d`."""
    given = {"start": start, "end": end, "count": count, "stride": stride, "format": format}
    asked = terms or ([""] if end is not None or count is not None else [])
    return [text for term in asked for text in _numbers(**_sequence_options(str(term), given))]


def _sequence_options(term: str, given: dict[str, Any]) -> dict[str, Any]:
    short = _SHORT.fullmatch(term.strip())
    written = {key: value for key, value in short.groupdict().items() if value} if short else {}
    if not short and term.strip():
        rest, written = with_pairs(term, given)
        if rest:
            words = re.search(r"(\w+)=", rest)
            unknown = (
                f"unrecognized arguments to with_sequence: {words[1]}" if words else f"{rest!r} has an invalid value"
            )
            raise ValueError(f"{unknown}; write start=1 end=9 stride=2 format=host%02d")
    numbers = {key: value if key == "format" else _number(key, value) for key, value in written.items()}
    return {**given, **numbers}


def _number(key: str, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise ValueError(f"{key} has an invalid value: {value!r} is not a number") from None


def _numbers(start: int, end: int | None, count: int | None, stride: int | None, format: str) -> list[str]:
    if end is None and count is None:
        raise ValueError("must specify count or end in with_sequence")
    if end is not None and count is not None:
        raise ValueError("can't specify both count and end in with_sequence")
    step = 1 if stride is None else stride
    if count is not None:
        end = start + count * step - 1 if count else 0
        start, end, step = (start, end, step) if count else (0, 0, 0)
    assert end is not None
    if step == 0:
        numbers = []
    elif (end - start) * step < 0:
        raise ValueError(
            "to count backwards make stride negative" if step > 0 else "to count forward don't make stride negative"
        )
    else:
        numbers = list(range(start, end + (1 if step > 0 else -1), step))
    return [_formatted(format, number) for number in numbers]


def _formatted(format: str, number: int) -> str:
    try:
        return format % number
    except (TypeError, ValueError):
        raise TemplateError(f"bad formatting string: {format}; a number wants one such as host%02d") from None


LOOKUPS: dict[str, Callable[..., list[Any]]] = {
    "dict": of_dict,
    "indexed_items": indexed_items,
    "items": items,
    "list": as_is,
    "nested": nested,
    "random_choice": random_choice,
    "sequence": sequence,
    "subelements": subelements,
    "together": together,
}
