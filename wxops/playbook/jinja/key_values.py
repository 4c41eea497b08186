"""Options written into a lookup's term: `'Li file=elements.csv delimiter=,'`."""

from __future__ import annotations

import shlex
from collections.abc import Container


def with_pairs(term: str, known: Container[str]) -> tuple[str, dict[str, str]]:
    """The words of a term that are no options, and its options: those whose name is known."""
    try:
        words = shlex.split(term)
    except ValueError as error:
        raise ValueError(f"{term!r}: {error}") from None
    pairs = {}
    rest = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in known:
            pairs[name] = value
        else:
            rest.append(word)
    return " ".join(rest), pairs
