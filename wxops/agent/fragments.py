"""How fragments become one file: the controller puts its own together the same way."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterable, Optional


def joined(fragments: Iterable[bytes], delimiter: Optional[str]) -> bytes:
    """The fragments one after the other, each beginning on a line of its own; between them the delimiter's line.

    delimiter: its escapes (\\n, \\t, \\x41) stand for what they do in Python.
    """
    between = _line(codecs.escape_decode(delimiter.encode("utf-8"))[0]) if delimiter else b""
    result, previous = b"", None
    for fragment in fragments:
        if previous is not None:
            result += (b"" if previous.endswith(b"\n") else b"\n") + between
        result += fragment
        previous = fragment
    return result


def _line(text: bytes) -> bytes:
    return text if text.endswith(b"\n") else text + b"\n"
