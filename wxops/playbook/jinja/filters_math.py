"""Filters on numbers, sizes and times."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from wxops.playbook.jinja.evaluation import volatile

_UNITS = {unit: 1 << (10 * power) for power, unit in enumerate("BKMGTPEZY")}
_PREFIXES = dict(zip("BKMGTPEZY", ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta"), strict=True))


def log(value: float, base: float = math.e) -> float:
    return math.log10(value) if base == 10 else math.log(value, base)


def power(value: float, exponent: float) -> float:
    return math.pow(value, exponent)


def root(value: float, base: float = 2) -> float:
    return math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base))


def human_readable(value: Any, isbits: bool = False, unit: str | None = None) -> str:
    """A size as a person says it: 1.50 KB; in units of 1024."""
    size = int(value)
    fitting = next((each for each in reversed(_UNITS) if size >= _UNITS[each]), "B")
    chosen = unit.upper()[:1] if unit else fitting
    if chosen not in _UNITS:
        raise ValueError(f"there is no unit {unit!r}; units: {', '.join(_UNITS)}")
    base = "bits" if isbits else "Bytes"
    suffix = base if chosen == "B" else f"{chosen}{'b' if isbits else 'B'}"
    return f"{size / _UNITS[chosen]:.2f} {suffix}"


def human_to_bytes(value: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """The number of bytes (or bits) that `10 MB` or `2K` says; a unit is 1024 of the one before."""
    match = re.match(r"^([0-9]*\.?[0-9]+)(?:\s*([A-Za-z]+))?\s*$", str(value).strip())
    if not match:
        raise ValueError(f"{value!r} is not a size such as 10 MB")
    number, unit = float(match[1]), match[2] or default_unit
    if not unit:
        return round(number)
    letter = unit[0].upper()
    symbol = letter + ("b" if isbits else "B")
    known = letter in _UNITS and (unit.lower() in (letter.lower(), _word(letter, isbits)) or unit == symbol)
    if not known:
        raise ValueError(f"{unit!r} in {value!r} is not a unit; write {'Mb' if isbits else 'MB'}, or M")
    return round(number * _UNITS[letter])


def _word(letter: str, isbits: bool) -> str:
    return _PREFIXES[letter] + ("bit" if isbits else "byte")


def strftime(format: str, second: Any = None, utc: bool = False) -> str:
    """A moment, in seconds since 1970, as text; now without one."""
    if second is None:
        volatile()
    try:
        moment = None if second is None else float(second)
    except (TypeError, ValueError):
        raise ValueError(f"the seconds must be a number, not {second!r}") from None
    return time.strftime(format, time.gmtime(moment) if utc else time.localtime(moment))


def to_datetime(value: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime:
    return datetime.strptime(value, format)


FILTERS: dict[str, Callable[..., Any]] = {
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "log": log,
    "pow": power,
    "root": root,
    "strftime": strftime,
    "to_datetime": to_datetime,
}
