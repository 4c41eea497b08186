"""JSON over HTTP over a Unix socket, by the standard library: the gateway's admin socket, and Docker's."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0


class UnixHTTPError(Exception):
    """Nobody answers there, or not in HTTP; the message names the socket."""


@dataclass(frozen=True)
class Reply:
    """body: what its JSON says; None where there is none."""

    status: int
    body: Any


class _Connection(HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    path: Path, method: str, target: str, body: Any = None, timeout: float = TIMEOUT_S, *, raw: bool = False
) -> Reply:
    """One request. raw: the answer's bytes, whatever they are. Raises UnixHTTPError; a status is not judged here."""
    connection = _Connection(path, timeout)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, target, sent, {"content-type": "application/json"} if sent is not None else {})
        answer = connection.getresponse()
        text = answer.read()
        if raw:
            return Reply(answer.status, text)
        return Reply(answer.status, json.loads(text) if text.strip() else None)
    except (OSError, HTTPException, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnixHTTPError(f"{path}: {reason}") from None
    finally:
        connection.close()
