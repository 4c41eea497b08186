"""What a keyword's rendered value must be: one that is none fails its host with the keyword's name and place."""

from __future__ import annotations

from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.signature import boolean


def truth(value: Any, keyword: str = "a keyword", where: Origin | None = None) -> bool:
    """true, false, yes, no; nothing is false. Raises InputError for what is neither."""
    try:
        return value is not None and value != "" and boolean(value)
    except ValueError as error:
        raise InputError(f"{keyword} {error}", where=where) from None


def number(value: Any, keyword: str, where: Origin | None = None) -> float:
    """A number that is not negative, as YAML or a template gives it. Raises InputError."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found < float("inf"):
        raise InputError(f"{keyword} should be a number, 0 or more, not {value!r}", where=where)
    return found


def percentage(value: Any, keyword: str, where: Origin | None = None) -> float:
    """A number of percent: 30, "30" or "30%"."""
    return number(value.strip().removesuffix("%") if isinstance(value, str) else value, keyword, where)
