"""The frames between controller and agent: 4 bytes of length, 1 byte of type, then the payload.

The length is big-endian and counts the payload only. docs/protocol.md describes every frame byte by byte.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Callable, Tuple

HEADER = struct.Struct(">IB")
MAX_PAYLOAD = 64 * 1024 * 1024
CHUNK = 256 * 1024  # of file content; research: frames of 256 KiB to 1 MiB keep a channel full

# controller to agent
CONFIGURE = ord("C")  # JSON: run id, check, verbose, ...; answered by HELLO
MODULE = ord("M")  # the files that a task is the first to need, packed as loader.py says
TASK = ord("T")  # JSON: {"module", "items": [args, ...], ...}
SETTLE = ord("S")  # JSON: {"void": [...], "hide": [...]}: steps that are no change, and that hold a secret
CANCEL = ord("K")  # empty: stop at the next safe point
PING = ord("P")  # empty; answered by PONG at once, also while a task runs
# agent to controller
HELLO = ord("H")  # JSON: who and what answers
RESULT = ord("R")  # JSON: {"item": index, "result": {...}}
DONE = ord("E")  # empty: all items of the task have answered
OUTPUT = ord("O")  # 1 byte (1 stdout, 2 stderr), then text of a running command
NEED = ord("N")  # the content's name (UTF-8); answered by DATA frames
PONG = ord("p")  # empty
# both ways
DATA = ord("D")  # a chunk of content; an empty one ends it
OPEN = ord("o")  # 4 bytes of stream id, then a path of a UNIX socket on the host (controller to agent)
STREAM = ord("s")  # 4 bytes of stream id, then bytes; none = end of that direction
CLOSE = ord("x")  # 4 bytes of stream id, then an error text or nothing

STREAM_ID = struct.Struct(">I")


class WireError(Exception):
    """The other side sent what is not a frame."""


class EndOfStream(WireError):
    """The link is gone."""


def pack(kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(len(payload), kind) + payload


def pack_json(kind: int, value: Any) -> bytes:
    return pack(kind, json.dumps(value, separators=(",", ":")).encode())


def read_frame(read: Callable[[int], bytes]) -> Tuple[int, bytes]:
    """One frame from `read(n)`, which returns exactly n bytes, or fewer at the end of the link."""
    length, kind = HEADER.unpack(_exactly(read, HEADER.size))
    if length > MAX_PAYLOAD:
        raise WireError("a frame of %d bytes; at most %d are allowed" % (length, MAX_PAYLOAD))
    return kind, _exactly(read, length)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size) if size else b""
    if len(data) != size:
        raise EndOfStream("the link ended")
    return data


def write_all(out: BinaryIO, data: bytes) -> None:
    out.write(data)
    out.flush()
