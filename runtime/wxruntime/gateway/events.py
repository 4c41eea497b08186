"""A stream cut into its server-sent events, wherever the pieces that come are cut; no byte is changed."""

from __future__ import annotations

import re
from typing import Any

import msgspec

END = re.compile(rb"\r?\n\r?\n|\r\r")


class Splitter:
    """Collects pieces and gives back events, each with the empty line that ends it."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that are complete now."""
        seen = max(0, len(self._rest) - 3)  # an end may have begun there
        self._rest += piece
        events, start = [], 0
        for end in END.finditer(self._rest, seen):
            events.append(bytes(self._rest[start : end.end()]))
            start = end.end()
        del self._rest[:start]
        return events

    def end(self) -> bytes:
        """What is left when the stream is over: nothing, or an event that nobody ended."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    @property
    def held(self) -> int:
        """Bytes of an event that is not complete."""
        return len(self._rest)


def data_of(event: bytes) -> bytes:
    """What an event says: its data lines, joined."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2 and event.endswith(b"\n\n") and b"\r" not in event:
        return event[6:-2]  # as all engines write them
    lines = [line[5:].removeprefix(b" ") for line in re.split(rb"\r\n|\n|\r", event) if line.startswith(b"data:")]
    return b"\n".join(lines)


class _Usage(msgspec.Struct):
    choices: list[msgspec.Raw]
    usage: Any = None


_usage = msgspec.json.Decoder(_Usage)


def is_usage(event: bytes) -> bool:
    """Whether this is the event that stream_options.include_usage asks for: usage, and no choice."""
    if b'"usage"' not in event:
        return False
    try:
        told = _usage.decode(data_of(event))
    except msgspec.DecodeError:
        return False
    return not told.choices and told.usage is not None
