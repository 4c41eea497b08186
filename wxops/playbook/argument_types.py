"""The types that an argument spec may ask for: a value as that type, or why it is none."""

from __future__ import annotations

import json
import os
from ast import literal_eval
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any

from wxops.playbook.jinja.filters_math import human_to_bytes
from wxops.playbook.signature import FALSE, TRUE, boolean
from wxops.playbook.words import unquoted


def converted(value: Any, kind: str) -> Any:
    """The value as a type of TYPES. Raises TypeError with the reason."""
    return TYPES[kind](value)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, int | float):
        return [str(value)]
    raise TypeError(f"{type(value)} cannot be converted to a list")


def _dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{type(value)} cannot be converted to a dict")
    if value.startswith("{"):
        return _literal(value)
    if "=" not in value:
        raise TypeError("dictionary requested, could not parse JSON or key=value")
    pairs = [word.partition("=") for word in value.replace(",", " ").split()]
    if not all(equals for _, equals, _ in pairs):
        raise TypeError('unable to evaluate string in the "key=value" format as dictionary')
    return {key: unquoted(text) for key, _, text in pairs}


def _literal(text: str) -> dict[Any, Any]:
    readers: tuple[Callable[[str], Any], ...] = (json.loads, literal_eval)
    for read in readers:
        try:
            found = read(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(found, dict):
            return found
    raise TypeError("unable to evaluate string as dictionary")


def _bool(value: Any) -> bool:
    if not isinstance(value, str | int | float):
        raise TypeError(f"{type(value)} cannot be converted to a bool")
    try:
        return boolean(value)
    except ValueError:
        known = ", ".join(repr(each) for each in sorted([*TRUE, *FALSE]))
        raise TypeError(f"The value {value!r} is not a valid boolean. Valid booleans include: {known}") from None


def _integer(value: Any) -> int:
    if isinstance(value, int):
        return value
    try:
        exact = Decimal(value)
        if exact != int(exact):
            raise ValueError
        return int(exact)
    except (DecimalException, TypeError, ValueError, OverflowError):
        raise TypeError(f'"{value!r}" cannot be converted to an int') from None


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{type(value)} cannot be converted to a float") from None


def _path(value: Any) -> str:
    return os.path.expanduser(os.path.expandvars(_text(value)))


def _json(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    raise TypeError(f"{type(value)} cannot be converted to a json string")


def _size(value: Any, name: str, bits: bool) -> int:
    try:
        return int(human_to_bytes(value, isbits=bits))
    except Exception:
        raise TypeError(f"{type(value)} cannot be converted to a {name} value") from None


TYPES: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "list": _list,
    "dict": _dict,
    "bool": _bool,
    "int": _integer,
    "float": _float,
    "path": _path,
    "raw": lambda value: value,
    "jsonarg": _json,
    "json": _json,
    "bytes": lambda value: _size(value, "Byte", False),
    "bits": lambda value: _size(value, "Bit", True),
}
