"""UNIX sockets of the host (Docker's) reached from the controller through the same link; never a TCP port."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from wxops.agent import wire

if TYPE_CHECKING:
    from typing import Callable, Dict

CHUNK = 64 * 1024


class Tunnels:
    """The open streams of a link, by the id that the controller gave them."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._sockets: Dict[int, socket.socket] = {}

    def take(self, kind: int, payload: bytes) -> None:
        (stream,) = wire.STREAM_ID.unpack(payload[: wire.STREAM_ID.size])
        rest = payload[wire.STREAM_ID.size :]
        if kind == wire.OPEN:
            self._open(stream, rest.decode("utf-8"))
        elif kind == wire.CLOSE:
            self._close(stream)
        elif stream in self._sockets:
            self._write(stream, rest)

    def _open(self, stream: int, path: str) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            self._say(wire.CLOSE, stream, ("%s: %s" % (path, error.strerror)).encode("utf-8"))
            return
        self._sockets[stream] = connection
        self._say(wire.STREAM, stream, b"")  # an empty first frame: it is open
        threading.Thread(target=self._pump, args=(stream, connection), daemon=True).start()

    def _write(self, stream: int, data: bytes) -> None:
        try:
            if data:
                self._sockets[stream].sendall(data)
            else:
                self._sockets[stream].shutdown(socket.SHUT_WR)
        except OSError:
            self._close(stream)

    def _pump(self, stream: int, connection: socket.socket) -> None:
        try:
            data = connection.recv(CHUNK)
            while data:
                self._say(wire.STREAM, stream, data)
                data = connection.recv(CHUNK)
        except OSError:
            pass  # closed from our side
        self._say(wire.CLOSE, stream, b"")
        self._close(stream)

    def _close(self, stream: int) -> None:
        connection = self._sockets.pop(stream, None)
        if connection is not None:
            with contextlib.suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _say(self, kind: int, stream: int, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the link is gone; the reader ends the agent
            self._send(kind, wire.STREAM_ID.pack(stream) + data)
