"""The controller's end of a tunnelled UNIX socket of a host: to HTTP clients it is a connected socket.

The host's end is wxops/agent/tunnel.py. Nothing listens anywhere: not on the host, not on the controller.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wxops.agent import wire

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Send = Callable[[int, bytes], None]

MAX_UNREAD = 64 * 1024 * 1024
"""Bytes kept for a reader that does not read. More end the stream: to hold the link up would hold up the tasks."""


class UnixSocket:
    """A stream to the host. One thread feeds it (`feed`, `ended`), others read and write it as a blocking socket.

    `fileno()` is good for select and poll only: it is readable when bytes, or the end, wait to be received.
    """

    def __init__(self, stream: int, send: Send) -> None:
        """send(kind, payload) writes a frame of this stream; the payload goes without the stream's id."""
        self._stream, self._send = stream, send
        self._unread = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._error = ""
        self._timeout: float | None = None
        self._files = 0
        self._closed = False
        self._signal, self._raise_signal = os.pipe()
        self._signalled = False

    # The link's side

    def feed(self, data: bytes) -> None:
        """Bytes that came from the host; none: the host's socket is open."""
        with self._changed:
            if self._ended or not data:
                return
            self._unread += data
            if len(self._unread) > MAX_UNREAD:
                self._end(f"more than {MAX_UNREAD >> 20} MiB came and nobody read them")
                self._say_closed()
            self._wake()

    def ended(self, error: str = "") -> None:
        """No more comes: the host's socket ended, or failed with that error."""
        with self._changed:
            self._end(error)
            self._wake()

    # The reader's and writer's side: a socket's methods

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to `size` bytes; none at the end. Raises TimeoutError, or ConnectionError if the stream failed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._unread or self._ended, self._timeout):
                raise TimeoutError("timed out")
            if not self._unread and self._error:
                raise ConnectionError(self._error)
            data = bytes(self._unread[:size])
            del self._unread[:size]
            self._wake()
            return data

    def recv_into(self, buffer: WriteableBuffer, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view))
        view[: len(data)] = data
        return len(data)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), wire.CHUNK):
            if self._ended:
                raise BrokenPipeError(self._error or "the host's socket has ended")
            self._send(wire.STREAM, bytes(view[start : start + wire.CHUNK]))

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        self.sendall(data)
        return memoryview(data).nbytes

    def makefile(self, mode: str = "r", buffering: int | None = None, **_: Any) -> io.BufferedIOBase:
        """A binary file over the stream. It reads no further than it is asked to: who then takes the raw stream over

        (a Docker exec does) finds every byte there.
        """
        with self._changed:
            self._files += 1
        raw = StreamFile(self)
        return io.BufferedWriter(raw) if "w" in mode else io.BufferedReader(raw, buffer_size=1)

    def shutdown(self, how: int) -> None:
        """End the direction to the host; the other ends with the host's socket."""
        if how != socket.SHUT_RD and not self._ended:
            self._send(wire.STREAM, b"")

    def close(self) -> None:
        """Close it now, or, as a socket does, with the last file made from it."""
        with self._changed:
            self._closed = True
            last = self._files == 0
        if last:
            self._close()

    def detach_file(self) -> None:
        """A file made from it was closed."""
        with self._changed:
            self._files -= 1
            last = self._closed and self._files == 0
        if last:
            self._close()

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        return self._timeout

    def setsockopt(self, *_: Any) -> None:
        """It has no options; HTTP clients set TCP's."""

    def fileno(self) -> int:
        return self._signal

    # Within

    def _close(self) -> None:
        with self._changed:
            was_open, self._error = not self._ended, self._error or "the socket is closed"
            self._end(self._error)
            self._unread.clear()
            self._changed.notify_all()
            for descriptor in {self._signal, self._raise_signal} - {-1}:
                os.close(descriptor)
            self._signal = self._raise_signal = -1
        if was_open:
            self._say_closed()

    def _end(self, error: str) -> None:
        if not self._ended:
            self._ended, self._error = True, error

    def _wake(self) -> None:
        """Wake who waits, and make the descriptor readable if and only if there is something to receive."""
        self._changed.notify_all()
        wanted = bool(self._unread) or self._ended
        if self._signal < 0 or wanted == self._signalled:
            return
        self._signalled = wanted
        if wanted:
            os.write(self._raise_signal, b"\0")
        else:
            os.read(self._signal, 1)

    def _say_closed(self) -> None:
        """From a thread of its own: the reader must not wait for a full link, nor the garbage collector for a lock."""

        def say() -> None:
            with contextlib.suppress(Exception):  # the link may be gone, and the host's end with it
                self._send(wire.CLOSE, b"")

        threading.Thread(target=say, daemon=True).start()


class StreamFile(io.RawIOBase):
    """What `makefile` buffers. Has `recv` too, as Docker's SDK expects of the raw stream behind a response."""

    def __init__(self, stream: UnixSocket) -> None:
        self._stream = stream
        self.recv, self.sendall, self.settimeout = stream.recv, stream.sendall, stream.settimeout
        self.shutdown = stream.shutdown

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._stream.recv_into(buffer)

    def write(self, data: ReadableBuffer) -> int:
        return self._stream.send(data)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.detach_file()
