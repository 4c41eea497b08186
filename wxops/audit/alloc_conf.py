"""PYTORCH_ALLOC_CONF as PyTorch's allocator reads it: what it would refuse, or not understand as it was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wxops.audit.tables import AllocConf
from wxops.errors import nearest

PAIR = re.compile(r"([^:]*):(.*)", re.DOTALL)
OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")


def problems(text: str, table: AllocConf) -> Iterator[str]:
    """What is wrong in `max_split_size_mb:128,expandable_segments:True`, a sentence each; nothing where all is well."""
    for part in OUTSIDE_BRACKETS.split(text.replace(" ", "")):
        found = PAIR.fullmatch(part)
        if not found:
            yield f"{part!r} has no value: write key:value" if part else "there is a comma too many"
            continue
        key, value = found.groups()
        if key not in table.keys:
            yield f"there is no key {key!r}, {nearest(key, list(table.keys))}"
        elif wrong := _value(key, value, table):
            yield wrong


def _value(key: str, value: str, table: AllocConf) -> str:
    if key in table.bool_keys and value not in ("True", "False"):
        return f"{key} is True or False, not {value!r}"
    if key in table.number_keys:
        least = table.minimum.get(key, 1)
        if not value.isdigit() or int(value) < least:
            return f"{key} is a number from {least} on, not {value!r}"
    if key in table.fraction_keys and not _between_0_and_1(value):
        return f"{key} is above 0 and at most 1, not {value!r}"
    if key == "backend" and value not in table.backends:
        return f"backend is one of {', '.join(table.backends)}, not {value!r}"
    return ""


def _between_0_and_1(text: str) -> bool:
    try:
        return 0.0 < float(text) <= 1.0
    except ValueError:
        return False
