"""A request as a connection has read it, and what whoever answers requests must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wxruntime.gateway.allowlist import Guest, Peer
from wxruntime.gateway.exchange import Answer, Headers, Refusal

if TYPE_CHECKING:
    from wxruntime.gateway.connection import Connection


class Request:
    """What a client has sent."""

    __slots__ = (
        "begun", "body", "connection", "guest", "headers", "http11", "keep_alive", "method", "path", "refusal",
        "streams", "url",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = self.url = self.path = b""
        self.headers: Headers = []
        self.body: bytes | bytearray = b""
        self.http11 = self.keep_alive = True
        self.begun = self.streams = False  # what has gone back
        self.guest: Guest | None = None
        self.refusal: Refusal | None = None

    def header(self, wanted: bytes) -> bytes | None:
        for name, value in self.headers:
            if name == wanted:
                return value
        return None

    async def send(self, answer: Answer) -> None:
        """Write the answer; returns when its last byte is with the operating system, or on its way."""
        await self.connection.send(self, answer)


class Handler(Protocol):
    """What answers requests."""

    def admit(self, request: Request) -> None:
        """Called when the headers are there and the body is not: set request.guest, or raise a Refusal."""
        ...

    async def handle(self, request: Request) -> None:
        """Called with the whole request; sends an answer. Cancelled when the client leaves."""
        ...

    def refused(self, request: Request | None, refusal: Refusal, peer: Peer) -> None:
        """A request was turned away before `handle` saw it."""
        ...
