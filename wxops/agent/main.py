"""The agent's life: take the link away from standard input and output, answer frames, end when the link does."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

from wxops.agent import wire
from wxops.agent.session import Session
from wxops.agent.tunnel import Tunnels

if TYPE_CHECKING:
    from typing import BinaryIO, Callable

    from wxops.agent.session import Frames

STREAM_FRAMES = (wire.OPEN, wire.STREAM, wire.CLOSE)
MAX_WAITING = 64
"""Frames that wait for the session: a disk slower than the network holds the sender up, and fills no memory."""


class Link:
    """The way back to the controller; several threads may send."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, kind: int, payload: bytes = b"") -> None:
        data = memoryview(wire.pack(kind, payload))
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]


def serve(link: BinaryIO, add_files: Callable[[bytes], None]) -> None:
    """Answer frames until the link ends. `link` is the buffered standard input, on a descriptor of its own."""
    out = Link(os.dup(1))
    _detach_standard_streams()
    reader = Reader(link, out, add_files)
    for work in (reader.read, reader.watch):
        threading.Thread(target=work, daemon=True).start()
    status = 1
    try:
        with contextlib.suppress(BrokenPipeError):  # the controller is gone; what was running has come to its end
            reader.session.serve()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)  # not sys.exit: a thread stuck in a dead mount must not keep the agent alive


def _detach_standard_streams() -> None:
    """A child must neither read the frames nor write among them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr


class Reader:
    """Sorts what arrives: tunnels, pings and cancels at once, the rest in order for the session."""

    def __init__(self, link: BinaryIO, out: Link, add_files: Callable[[bytes], None]) -> None:
        self._link, self._out = link, out
        self._frames: Frames = queue.Queue(MAX_WAITING)
        self._heard = time.monotonic()
        self._busy = False
        self.session = Session(out.send, self._frames, add_files)
        self._tunnels = Tunnels(out.send)

    def read(self) -> None:
        try:
            while True:
                kind, payload = wire.read_frame(self._link.read)
                self._heard, self._busy = time.monotonic(), True
                self._take(kind, payload)
                self._heard, self._busy = time.monotonic(), False
        except (wire.WireError, OSError, ValueError):
            self._lost()

    def watch(self) -> None:
        """A link that was cut without a word shows only in silence.

        A frame that cannot be handed on (Docker takes its time with an image) is no silence: PING waits behind it, so
        the agent says unasked that it lives.
        """
        while time.monotonic() - self._heard < self.session.patience:
            time.sleep(min(1.0, self.session.patience / 4))
            if self._busy and time.monotonic() - self._heard > self.session.patience / 8:
                self._heard = time.monotonic()
                with contextlib.suppress(OSError):  # the link is gone: the reader will see it too
                    self._out.send(wire.PONG)
        self._lost()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind in STREAM_FRAMES:
            self._tunnels.take(kind, payload)
        elif kind == wire.PING:
            self._out.send(wire.PONG)
        elif kind == wire.CANCEL:
            self.session.cancel()
        else:
            self._frames.put((kind, payload))

    def _lost(self) -> None:
        self.session.link_lost()
        self._frames.put((None, b""))
