"""How a value becomes text, a boolean or plain data, wherever ansible-core takes one for the other."""

from __future__ import annotations

from typing import Any

_TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
_FALSE = frozenset({"n", "no", "off", "0", "false", "f"})
_BOOL_FILTER = frozenset({"yes", "on", "1", "true"})


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def reason(error: Exception) -> str:
    """What an error of Python's says, in words: a KeyError's text is only the key."""
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r}"
    return str(error) or type(error).__name__


def boolean(value: Any) -> bool:
    """What `| bool` makes of a value: True of 1 and a few words, False of all else."""
    return value == 1 if isinstance(value, (int, float)) else text_of(value).lower() in _BOOL_FILTER


def truth(value: Any) -> bool | None:
    """The boolean that a word or number stands for; None if it stands for none."""
    if isinstance(value, (bool, int, float)):
        return bool(value) if value in (0, 1) else None
    word = text_of(value).lower().strip()
    return True if word in _TRUE else False if word in _FALSE else None
