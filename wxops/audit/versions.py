"""Versions as numbers: 570.26 is older than 570.124.06, and 13.0 is 13."""

from __future__ import annotations

import re
from functools import total_ordering

NUMBERS = re.compile(r"v?(\d+(?:\.\d+)*)")


@total_ordering
class Version:
    """A version with dotted numbers in front (2.13.0+cu130, 9.10.2.21, 580.65.06); what follows them does not count.

    text: as its maker wrote it. numbers: without zeros at the end.
    """

    __slots__ = ("numbers", "text", "written")

    def __init__(self, text: str) -> None:
        """Raises ValueError for text that does not start with a number."""
        found = NUMBERS.match(text.strip())
        if not found:
            raise ValueError(f"{text!r} is no version: it does not start with a number")
        numbers = [int(part) for part in found[1].split(".")]
        self.text, self.written = text.strip(), len(numbers)
        while len(numbers) > 1 and numbers[-1] == 0:
            numbers.pop()
        self.numbers = tuple(numbers)

    @property
    def major(self) -> int:
        return self.numbers[0]

    @property
    def minor(self) -> int:
        return self.numbers[1] if len(self.numbers) > 1 else 0

    def first(self, count: int) -> str:
        """The first numbers of it, with zeros where it has fewer: 2.13.0+cu130 has "2.13" in front."""
        return ".".join(str(n) for n in (*self.numbers, *[0] * count)[:count])

    def starts_with(self, other: Version) -> bool:
        """Whether it is a release of a line: 2.13.1 is one of 2.13, 2.1 is none."""
        return self.first(other.written) == other.first(other.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.numbers == other.numbers

    def __lt__(self, other: Version) -> bool:
        return self.numbers < other.numbers

    def __hash__(self) -> int:
        return hash(self.numbers)

    def __repr__(self) -> str:
        return f"Version({self.text!r})"

    def __str__(self) -> str:
        return self.text


def version(text: str | None) -> Version | None:
    """The version in a text, None where there is none."""
    try:
        return Version(text) if text else None
    except ValueError:
        return None
