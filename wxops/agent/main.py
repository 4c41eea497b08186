"""The agent's life: take the link away from standard input and output, answer frames, end when the link does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import select
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING

from wxops.agent import wire
from wxops.agent.session import Session

if TYPE_CHECKING:
    from io import BufferedReader
    from typing import Callable, Optional

    from wxops.agent.session import Frames
    from wxops.agent.tunnel import Tunnels

STREAM_FRAMES = (wire.OPEN, wire.STREAM, wire.CLOSE)
MAX_WAITING = 64
"""Frames that wait for the session: a disk slower than the network holds the sender up, and fills no memory."""

SET_PIPE_SIZE = 1031  # fcntl.F_SETPIPE_SZ, which has a name from Python 3.10 on
PIPE_SIZE = 1024 * 1024
"""The most that a user may ask for by default. With the usual 64 KiB sshd and agent take turns every two packets."""

POLL_MS = 500
SOCKET_ROOM = 32 * 1024
"""A UNIX socket that says it can be written takes so much at once: it says so while three quarters are free."""


class Link:
    """The way back to the controller; several threads may send. Once `lost` is set, none waits for room any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        if self._is_pipe:  # one socket may be both directions, and the other one blocks
            os.set_blocking(descriptor, False)
        self.lost = False

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Raises OSError when the controller is gone."""
        data = memoryview(wire.pack(kind, payload))
        with self._lock:
            while data:
                data = data[self._some(data) :]

    def say(self, kind: int) -> None:
        """A frame without a payload, if that holds nobody up."""
        if self._lock.acquire(blocking=False):
            try:
                if self._room.poll(0):
                    os.write(self._descriptor, wire.pack(kind))
            finally:
                self._lock.release()

    def _some(self, data: memoryview) -> int:
        """As much as there is room for."""
        while not self._room.poll(0 if self.lost else POLL_MS):
            if self.lost:
                raise BrokenPipeError
        return os.write(self._descriptor, data if self._is_pipe else data[:SOCKET_ROOM])


def serve(link: BufferedReader, add_files: Callable[[bytes], None]) -> None:
    """Answer frames until the link ends. `link` is the buffered standard input, on a descriptor of its own."""
    out = Link(os.dup(1))
    with contextlib.suppress(OSError):  # a socket, or a user with many pipes
        fcntl.fcntl(link.fileno(), SET_PIPE_SIZE, PIPE_SIZE)
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
        import traceback  # only a bug needs it

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

    def __init__(self, link: BufferedReader, out: Link, add_files: Callable[[bytes], None]) -> None:
        self._link, self._out = link, out
        self._frames: Frames = queue.Queue(MAX_WAITING)
        self._heard = time.monotonic()
        self._busy = False
        self._frame = bytearray(wire.CHUNK)  # read into over and over: the kernel clears every page of a new one
        self.session = Session(out.send, self._frames, add_files)
        self._tunnels: Optional[Tunnels] = None

    def read(self) -> None:
        try:
            while True:
                kind, payload = wire.read_frame(self._bytes)
                self._busy = True
                self._take(kind, payload)
                self._heard, self._busy = time.monotonic(), False
        except (wire.WireError, OSError, ValueError):
            self._lost()

    def _bytes(self, size: int) -> bytes:
        """So many bytes, fewer at the link's end. Each part is a sign of life: a large frame may take its minutes."""
        if size > len(self._frame):
            self._frame = bytearray(size)
        rest = memoryview(self._frame)[:size]
        while rest:
            got = self._link.readinto1(rest)
            if not got:
                break
            self._heard = time.monotonic()
            rest = rest[got:]
        return bytes(memoryview(self._frame)[: size - len(rest)])

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
                    self._out.say(wire.PONG)
        self._lost()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind in STREAM_FRAMES:
            self._tunnel(kind, payload)
        elif kind == wire.PING:
            self._out.send(wire.PONG)
        elif kind == wire.CANCEL:
            self.session.cancel()
        else:
            self._frames.put((kind, payload))

    def _tunnel(self, kind: int, payload: bytes) -> None:
        if self._tunnels is None:
            from wxops.agent.tunnel import Tunnels  # few tasks have one, and it brings socket

            self._tunnels = Tunnels(self._out.send)
        self._tunnels.take(kind, payload)

    def _lost(self) -> None:
        self._out.lost = True
        self.session.link_lost()
        self._frames.put((None, b""))
