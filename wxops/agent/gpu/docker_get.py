"""Questions to Docker's socket, in HTTP/1.0 by hand: http.client takes longer to import than all of an audit's reading.

What changes containers goes through docker_socket.py.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

NEWEST_SPOKEN = (1, 44)  # as docker_socket.py's
LARGEST = 64 << 20


class DockerSilent(Exception):
    """No answer, or none that can be understood. Its text is for an operator."""


class DockerQuestions:
    """deadline: seconds for each."""

    def __init__(self, path: str, deadline: float) -> None:
        self._path, self._deadline = path, deadline
        _, headers, _ = self._ask("/_ping")
        offered = tuple(int(part) for part in headers.get("api-version", "1.41").split(".")[:2])
        self._version = "/v%d.%d" % min(NEWEST_SPOKEN, offered)

    def get(self, path: str) -> Any:
        """What Docker knows; None when it knows no such thing. Raises DockerSilent."""
        status, _, body = self._ask(self._version + path)
        if status == 404:
            return None
        if status != 200:
            raise DockerSilent("Docker refused %s with status %d" % (path, status))
        try:
            return json.loads(body.decode("utf-8"))
        except ValueError as error:
            raise DockerSilent("Docker's answer to %s is no JSON: %s" % (path, error)) from None

    def _ask(self, path: str) -> Tuple[int, Dict[str, str], bytes]:
        try:
            answer = self._exchange(("GET %s HTTP/1.0\r\nHost: docker\r\n\r\n" % path).encode())
        except OSError as error:
            why = "no answer in %g s" % self._deadline if isinstance(error, socket.timeout) else error.strerror
            raise DockerSilent("Docker was asked for %s: %s" % (path, why)) from None
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split()
        if len(words) < 2 or not words[1].isdigit():
            raise DockerSilent("what answers at %s is not Docker" % self._path)
        pairs = (line.partition(":") for line in lines)
        return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, body

    def _exchange(self, question: bytes) -> bytes:
        """All that comes until the other side closes, within the deadline."""
        end = time.monotonic() + self._deadline
        parts: List[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(self._deadline)
            link.connect(self._path)
            link.sendall(question)
            while sum(map(len, parts)) < LARGEST:
                link.settimeout(max(0.001, end - time.monotonic()))
                part = link.recv(1 << 20)
                if not part:
                    break
                parts.append(part)
        return b"".join(parts)
