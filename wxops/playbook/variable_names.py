"""What may be the name of a variable: what a template can say."""

from __future__ import annotations

from typing import Any

from wxops.errors import InputError, Origin

RESERVED = frozenset({"true", "false", "none", "True", "False", "None", "not"})
"""Words that a template reads as something else."""


def check_name(name: Any, where: Origin | None = None) -> str:
    """The name, if it can be one. Raises InputError."""
    if isinstance(name, str) and name.isidentifier() and name.isascii() and name not in RESERVED:
        return name
    of = "" if isinstance(name, str) else f" of type {type(name).__name__!r}"
    raise InputError(
        f"Invalid variable name {str(name)!r}{of}.",
        where=where,
        fix="letters, digits and _, not beginning with a digit",
    )
