"""What goes over the socket between the server and the process that has the backend: length, then a pickled message.

Both ends are this program, and the socket pair has no name, so that nobody else can write to it.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wxruntime.backends.base import Limits, Load, Sequence, Step, Usage

_LENGTH = struct.Struct("!I")
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Start:
    """To the backend's process, first: which backend to load, and how."""

    backend: str
    options: Load


@dataclass(frozen=True, slots=True)
class Admit:
    """To the backend's process: sequences of one request or of several that came together."""

    sequences: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """To the backend's process: nobody waits for these any more."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """From it: the backend is loaded and has made a token."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Stepped:
    """From it, after each step. `at` is the time of time.monotonic(), which all processes of a machine share."""

    step: Step
    usage: Usage
    at: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """From it: what it was told to drop is gone, and nothing is left that a step would tell of."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Broken:
    """From it: a step failed, these sequences are lost, and the backend is sound again."""

    ids: tuple[int, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Ended:
    """From it, last: the backend cannot be used. `refused` says that the checkpoint is to blame."""

    why: str
    refused: bool


Message = Start | Admit | Drop | Ready | Stepped | Dropped | Broken | Ended


def pack(message: Message) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Messages out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        self._held += piece
        while len(self._held) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
            if len(self._held) < end:
                return
            body = bytes(memoryview(self._held)[_LENGTH.size : end])
            del self._held[:end]
            yield pickle.loads(body)


def received(connection: socket.socket) -> Iterator[Any]:
    """The other end's messages, until it closes."""
    unpacker = Unpacker()
    while piece := connection.recv(_READ):
        yield from unpacker.feed(piece)
