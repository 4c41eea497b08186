"""Small messages over our SSH sockets do not wait for each other, as sshd's first two after a login did."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from wxops.transport.ssh import QUICK_ACK, PromptSocket

TALKS = 12


@pytest.fixture
def connection() -> Iterator[PromptSocket]:
    """To a server that answers each byte with two messages, one a little later: as sshd, with Nagle's algorithm on."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        client, _ = server.accept()
        with client:
            while client.recv(1):
                client.sendall(b"first")
                time.sleep(0.002)
                client.sendall(b"second")

    threading.Thread(target=answer, daemon=True).start()
    with PromptSocket(socket.create_connection(server.getsockname()).detach()) as connection:
        yield connection
    server.close()


def seconds_between_messages(connection: socket.socket) -> float:
    """The median of several talks: a busy machine makes some of them longer, a message that is held back makes all."""
    times = []
    for _ in range(TALKS):
        connection.sendall(b"?")
        assert connection.recv(5) == b"first"
        started = time.perf_counter()
        assert connection.recv(6) == b"second"
        times.append(time.perf_counter() - started)
    return sorted(times)[TALKS // 2]


def test_what_is_sent_leaves_at_once(connection: PromptSocket) -> None:
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(QUICK_ACK is None, reason="only Linux can be asked to acknowledge at once")
def test_what_arrives_is_acknowledged_at_once(connection: PromptSocket) -> None:
    assert seconds_between_messages(connection) < 0.03


def test_who_waits_on_a_connection_is_woken_when_another_thread_closes_it(connection: PromptSocket) -> None:
    connection.settimeout(60)
    heard: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # it was closed before this thread came to wait
            heard.append(connection.recv(1))

    waiting = threading.Thread(target=listen)
    waiting.start()
    time.sleep(0.1)
    connection.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert heard in ([b""], [])
