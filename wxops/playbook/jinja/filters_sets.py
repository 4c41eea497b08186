"""Filters on lists: as sets, in pairs and products, and in random order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import jinja2
from jinja2 import pass_environment
from jinja2.filters import do_unique

from wxops.playbook.jinja.evaluation import volatile


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Without repetitions, in order. Values that cannot be hashed are compared."""
    items = list(values)
    if all(isinstance(item, Hashable) for item in items):
        return list(dict.fromkeys(items))
    result: list[Any] = []
    for item in items:
        if item not in result:
            result.append(item)
    return result


@pass_environment
def unique(
    environment: jinja2.Environment, value: Any, case_sensitive: bool | None = None, attribute: Any = None
) -> list[Any]:
    """Without repetitions. Texts that differ only in case are one, unless told otherwise."""
    try:
        return list(do_unique(environment, value, case_sensitive=bool(case_sensitive), attribute=attribute))
    except TypeError:  # dictionaries and lists have no hash
        if case_sensitive is not None or attribute:
            raise
        return _distinct(value)


def intersect(value: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    known = list(other)
    return [item for item in _distinct(value) if item in known]


def difference(value: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    known = list(other)
    return [item for item in _distinct(value) if item not in known]


def symmetric_difference(value: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return [*difference(value, other), *difference(other, value)]


def union(value: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return _distinct([*value, *other])


def zipped(*lists: Iterable[Any], strict: bool = False) -> list[tuple[Any, ...]]:
    return list(zip(*lists, strict=strict))


def product(*lists: Iterable[Any], repeat: int = 1) -> list[tuple[Any, ...]]:
    return list(itertools.product(*lists, repeat=repeat))


def shuffle(value: Any, seed: Any = None) -> Any:
    """A list in random order: the same for the same seed."""
    if seed is None:
        volatile()
    try:
        items = list(value)
    except TypeError:
        return value
    (random.Random(seed) if seed is not None else random.SystemRandom()).shuffle(items)
    return items


def chosen(end: Any, start: int | None = None, step: int | None = None, seed: Any = None) -> Any:
    """A number below `end`, or an item of a list: the same for the same seed."""
    if seed is None:
        volatile()
    source = random.SystemRandom() if seed is None else random.Random(seed)
    if isinstance(end, int):
        return source.randrange(start or 0, end, step or 1)
    if start or step:
        raise ValueError("start and step apply to a number")
    return source.choice(end if hasattr(end, "__getitem__") else list(end))


FILTERS: dict[str, Callable[..., Any]] = {
    "combinations": lambda value, size: list(itertools.combinations(value, size)),
    "difference": difference,
    "intersect": intersect,
    "permutations": lambda value, size=None: list(itertools.permutations(value, size)),
    "product": product,
    "random": chosen,
    "shuffle": shuffle,
    "symmetric_difference": symmetric_difference,
    "union": union,
    "unique": unique,
    "zip": zipped,
    "zip_longest": lambda *lists, fillvalue=None: list(itertools.zip_longest(*lists, fillvalue=fillvalue)),
}
