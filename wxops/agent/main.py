"""The agent's life: take the link away from standard input and output, answer frames, end when the link does."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING

from wxops.agent import wire
from wxops.agent.session import Session
from wxops.agent.tunnel import Tunnels

if TYPE_CHECKING:
    from typing import BinaryIO, Callable, Dict

    from wxops.agent.session import Frames

STREAM_FRAMES = (wire.OPEN, wire.STREAM, wire.CLOSE)


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


def serve(link: BinaryIO, add_sources: Callable[[Dict[str, str]], None]) -> None:
    """Answer frames until the link ends. `link` is the buffered standard input, on a descriptor of its own."""
    out = Link(os.dup(1))
    _detach_standard_streams()
    frames: Frames = queue.Queue()
    session = Session(out.send, frames, add_sources)
    tunnels = Tunnels(out.send)
    threading.Thread(target=_read, args=(link, frames, session, tunnels), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the controller is gone; what was running has come to its end
        session.serve()
    os._exit(0)  # not sys.exit: a thread stuck in a dead mount must not keep the agent alive


def _detach_standard_streams() -> None:
    """A child must neither read the frames nor write among them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr


def _read(link: BinaryIO, frames: Frames, session: Session, tunnels: Tunnels) -> None:
    """Sort what arrives: tunnels and cancels at once, the rest in order for the session."""
    try:
        while True:
            kind, payload = wire.read_frame(link.read)
            if kind in STREAM_FRAMES:
                tunnels.take(kind, payload)
            elif kind == wire.CANCEL:
                session.cancel()
            else:
                frames.put((kind, payload))
    except (wire.WireError, OSError, ValueError):
        session.link_lost()
        frames.put((None, b""))
