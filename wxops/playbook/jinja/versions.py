"""Comparison of version numbers, in the four ways that `is version(...)` knows."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any

from wxops.errors import nearest

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("==", "=", "eq"), operator.eq),
    **dict.fromkeys(("!=", "<>", "ne"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys(("<=", "le"), operator.le),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys((">=", "ge"), operator.ge),
}


def compared(
    value: Any, version: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """Whether a version stands in a relation to another: `'12.4' is version('12.10', '<')`."""
    if strict is not None and version_type is not None:
        raise ValueError("give strict or version_type, not both")
    if operator not in _OPERATORS:
        raise ValueError(f"there is no operator {operator!r}: {nearest(operator, list(_OPERATORS))}")
    kind = version_type or ("strict" if strict else "loose")
    if kind not in _READERS:
        raise ValueError(f"there is no version_type {kind!r}: {nearest(kind, list(_READERS))}")
    read = _READERS[kind]
    if not str(value):
        raise ValueError("the version value cannot be empty")
    if not str(version):
        raise ValueError("the version to compare against cannot be empty")
    return _OPERATORS[operator](read(str(value)), read(str(version)))


def loose(text: str) -> list[int | str]:
    """Runs of digits, runs of letters, and what stands between; numbers compare as numbers."""
    parts = re.findall(r"\d+|[a-z]+|[^.\da-z]+", text)
    return [int(part) if part.isdigit() else part for part in parts]


def strict(text: str) -> tuple[Any, ...]:
    """`1.2` or `1.2.3`, then `a1` or `b2` for a version before the release."""
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?", text)
    if not found:
        raise ValueError(f"{text!r} is not a version such as 1.2.3 or 1.2b1")
    major, minor, patch, before, count = found.groups()
    return (int(major), int(minor), int(patch or 0), (before, int(count)) if before else ("release", 0))


_SEMANTIC = re.compile(
    r"(?P<core>\d+\.\d+\.\d+)(?:-(?P<before>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)


@total_ordering
class Semantic:
    """A version by semver.org 2.0.0."""

    def __init__(self, text: str) -> None:
        found = _SEMANTIC.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is not a semantic version such as 1.2.3 or 1.2.3-rc.1")
        self.core = tuple(int(part) for part in found["core"].split("."))
        before = found["before"].split(".") if found["before"] else []
        # A release follows everything before it; numbers come before words (semver.org, 11).
        self.before = (not before, [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before])

    def _key(self) -> tuple[Any, ...]:
        return (self.core, self.before)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semantic) and self._key() == other._key()

    def __lt__(self, other: Semantic) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self.core)


def pep440(text: str) -> Any:
    from packaging.version import Version

    return Version(text)


_READERS: dict[str, Callable[[str], Any]] = {
    "loose": loose,
    "strict": strict,
    "semver": Semantic,
    "semantic": Semantic,
    "pep440": pep440,
}
