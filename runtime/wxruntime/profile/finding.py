"""What is wrong with a profile, at a place in its file."""

from __future__ import annotations

from dataclasses import dataclass

from wxruntime.document import Place


@dataclass(frozen=True)
class Finding:
    """place: keys from the top of the file. fatal: it must not be started like this; otherwise it is worth a look."""

    place: Place
    message: str
    fatal: bool = True


def wrong(key: str, message: str) -> Finding:
    """A mistake at a key, whose name comes first in the message. key: dotted, like queue.tokens."""
    return Finding(tuple(key.split(".")), f"{key}: {message}")


def doubtful(key: str, message: str) -> Finding:
    return Finding(tuple(key.split(".")), f"{key}: {message}", fatal=False)
