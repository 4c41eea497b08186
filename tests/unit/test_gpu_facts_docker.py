"""Asking Docker's socket for an audit: what is not Docker, does not answer or refuses is told, and never waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wxops.agent.gpu.docker_get import DockerQuestions, DockerSilent

PING = b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
ANSWERS: dict[str, tuple[bytes, str]] = {
    "no HTTP": (b"hello\n", "is not Docker"),
    "nothing": (b"", "is not Docker"),
    "a refusal": (b"HTTP/1.1 500 Internal Server Error\r\n\r\n{}", "status 500"),
    "no JSON": (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is no JSON"),
}


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        yield server


def serve(server: socket.socket, *answers: bytes) -> list[bytes]:
    """Answer one question after the other; what was asked."""
    asked: list[bytes] = []

    def work() -> None:
        for answer in answers:
            link, _ = server.accept()
            with link:
                asked.append(link.recv(65536))
                link.sendall(answer)

    threading.Thread(target=work, daemon=True).start()
    return asked


def test_it_speaks_the_version_that_both_know(listener: socket.socket) -> None:
    asked = serve(
        listener, PING, b'HTTP/1.0 200 OK\r\n\r\n{"ServerVersion": "20.10"}', b"HTTP/1.0 404 Not Found\r\n\r\n{}"
    )
    docker = DockerQuestions(listener.getsockname(), 5)
    assert docker.get("/info") == {"ServerVersion": "20.10"}
    assert docker.get("/containers/gone/json") is None
    assert [question.split()[1] for question in asked] == [b"/_ping", b"/v1.41/info", b"/v1.41/containers/gone/json"]


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_answer_is_told(name: str, listener: socket.socket) -> None:
    answer, told = ANSWERS[name]
    serve(listener, PING, answer)
    with pytest.raises(DockerSilent, match=told):
        DockerQuestions(listener.getsockname(), 5).get("/info")


def test_one_that_says_nothing_is_left(listener: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(DockerSilent, match=r"/_ping: no answer in 0\.3 s"):
        DockerQuestions(listener.getsockname(), 0.3)
    assert time.monotonic() - started < 5


def test_one_that_drips_is_left_at_the_same_time(listener: socket.socket) -> None:
    def drip() -> None:
        link, _ = listener.accept()
        with link:
            for _ in range(100):
                time.sleep(0.05)
                try:
                    link.sendall(b"x")
                except OSError:
                    return

    threading.Thread(target=drip, daemon=True).start()
    with pytest.raises(DockerSilent, match=r"no answer in 0\.4 s"):
        DockerQuestions(listener.getsockname(), 0.4)


def test_a_socket_without_a_docker_is_told(tmp_path: Path) -> None:
    with pytest.raises(DockerSilent, match="No such file or directory"):
        DockerQuestions(str(tmp_path / "none"), 1)
