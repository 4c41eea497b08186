"""A tunnelled socket behaves as a connected one, over the agent's own end of the tunnel and a real UNIX socket."""

from __future__ import annotations

import http.client
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wxops.agent import wire
from wxops.agent.tunnel import Tunnels
from wxops.transport import tunnel
from wxops.transport.tunnel import UnixSocket


class Link:
    """Both ends of a link, joined: what one says the other takes."""

    def __init__(self) -> None:
        self.host = Tunnels(self.to_controller)
        self.sockets: dict[int, UnixSocket] = {}

    def open(self, path: Path) -> UnixSocket:
        stream = len(self.sockets) + 1
        prefix = wire.STREAM_ID.pack(stream)
        self.sockets[stream] = UnixSocket(stream, lambda kind, data: self.host.take(kind, prefix + data))
        self.host.take(wire.OPEN, prefix + str(path).encode())
        return self.sockets[stream]

    def to_controller(self, kind: int, payload: bytes) -> None:
        (stream,) = wire.STREAM_ID.unpack(payload[:4])
        if kind == wire.CLOSE:
            self.sockets[stream].ended(payload[4:].decode())
        else:
            self.sockets[stream].feed(payload[4:])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    """A UNIX socket that listens at tmp_path/socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        listening.settimeout(5)
        yield listening


@pytest.fixture
def pair(server: socket.socket) -> Iterator[tuple[UnixSocket, socket.socket]]:
    """Our end and the server's end of one connection."""
    ours = Link().open(Path(server.getsockname()))
    ours.settimeout(5)
    theirs, _ = server.accept()
    yield ours, theirs
    ours.close()
    theirs.close()


Pair = tuple[UnixSocket, socket.socket]


def test_bytes_go_both_ways(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"ping")
    assert theirs.recv(10) == b"ping"
    theirs.sendall(b"pong")
    assert ours.recv(10) == b"pong"


def test_a_megabyte_arrives_whole(pair: Pair) -> None:
    ours, theirs = pair
    data = bytes(range(256)) * 4096
    threading.Thread(target=lambda: (theirs.sendall(data), theirs.close()), daemon=True).start()
    assert ours.makefile("rb").read() == data


def test_the_end_of_the_hosts_socket_is_the_end_here(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"last words")
    theirs.close()
    assert ours.recv(100) == b"last words"
    assert ours.recv(100) == b""


def test_shutting_down_one_direction_leaves_the_other(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"question")
    ours.shutdown(socket.SHUT_WR)
    assert theirs.makefile("rb").read() == b"question"
    theirs.sendall(b"answer")
    assert ours.recv(100) == b"answer"


def test_closing_here_closes_there(pair: Pair) -> None:
    ours, theirs = pair
    ours.close()
    theirs.settimeout(5)
    assert theirs.recv(1) == b""


def test_a_file_outlives_the_socket_it_was_made_from(pair: Pair) -> None:
    """http.client closes the connection of a response that it still has to read."""
    ours, theirs = pair
    file = ours.makefile("rb")
    ours.close()
    theirs.sendall(b"a line\n")
    assert file.readline() == b"a line\n"
    file.close()
    theirs.settimeout(5)
    assert theirs.recv(1) == b""


def test_a_file_takes_no_byte_beyond_what_was_asked_for(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"header\nbody")
    assert ours.makefile("rb").readline() == b"header\n"
    assert ours.recv(100) == b"body"


def test_a_wait_for_silence_times_out(pair: Pair) -> None:
    ours, _ = pair
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.recv(1)


def test_poll_tells_when_there_is_something_to_receive(pair: Pair) -> None:
    ours, theirs = pair

    def readable(seconds: float) -> bool:
        return bool(select.select([ours], [], [], seconds)[0])

    assert not readable(0)
    theirs.sendall(b"ab")
    assert readable(5)
    ours.recv(1)
    assert readable(0)
    ours.recv(1)
    assert not readable(0)
    theirs.close()
    assert readable(5)


def test_a_socket_that_nobody_serves_says_so(tmp_path: Path) -> None:
    ours = Link().open(tmp_path / "nobody")
    with pytest.raises(ConnectionError, match="nobody: No such file or directory"):
        ours.recv(1)


def test_a_lost_link_ends_a_wait(pair: Pair) -> None:
    ours, _ = pair
    threading.Timer(0.05, ours.ended, ["the connection to the host is lost"]).start()
    with pytest.raises(ConnectionError, match="the host is lost"):
        ours.recv(1)
    with pytest.raises(BrokenPipeError, match="the host is lost"):
        ours.sendall(b"hello?")


def test_a_stream_that_nobody_reads_fails_alone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "MAX_UNREAD", 1 << 20)
    ours, theirs = pair
    with pytest.raises(OSError), theirs:
        theirs.settimeout(5)
        while True:
            theirs.sendall(bytes(1 << 16))
    with pytest.raises(ConnectionError, match="nobody read"):
        while ours.recv(1 << 20):
            pass


def test_http_works_over_it(pair: Pair) -> None:
    ours, theirs = pair

    def serve() -> None:
        while b"\r\n\r\n" not in theirs.recv(65536):
            pass
        theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.02)
        theirs.sendall(b"3\r\ndef\r\n0\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = ours  # type: ignore[assignment]
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"abcdef"
