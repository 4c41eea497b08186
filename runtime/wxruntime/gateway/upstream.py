"""One HTTP/1.1 connection to a replica, and the pool that keeps them: a few lines of asyncio, because a general client
costs more than all the rest of the gateway."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from typing import cast

import httptools

from wxruntime.gateway.exchange import Headers


class UpstreamError(Exception):
    """A replica did not answer as it should. `sent` tells whether a byte of an answer had come."""

    def __init__(self, reason: str, *, started: bool = False, stale: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.started, self.stale = reason, started, stale


class Connection(asyncio.Protocol):
    """Asks one thing at a time. Time limits are watched by the pool, which sweeps over its busy connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._pieces: deque[bytes] = deque()
        self._error: UpstreamError | None = None
        self._resume: asyncio.Future[None] | None = None
        self._reading = True
        self._held = 0
        self.deadline = 0.0  # when what is waited for now is too late
        self._late = ""
        self._gap = 0.0
        self.used = 0
        self.idle_since = 0.0
        self.status = 0
        self.headers: Headers = []
        self._streamed = self._complete = self._begun = self._framed = self._keep = False

    # -- asking

    async def ask(self, head: bytes, body: bytes, first_token: float, between_tokens: float) -> None:
        """Send a request. Returns when a stream has begun, or when another answer is complete."""
        assert self._transport is not None
        self.status, self.headers = 0, []
        self._pieces.clear()
        self._held = 0
        self._streamed = self._complete = self._begun = False
        self._parser = httptools.HttpResponseParser(self)
        self._gap, self._late = between_tokens, "first token"
        self.deadline = time.monotonic() + first_token
        self._pool.busy.add(self)
        self.used += 1
        if len(body) < 16384:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        await self._wait()
        if self._error is not None and not self._streamed:
            raise self._error

    @property
    def streamed(self) -> bool:
        return self._streamed

    @property
    def begun(self) -> bool:
        """Whether an answer has begun to come."""
        return self._begun

    def body(self) -> bytes:
        """The whole of an answer that is complete."""
        return b"".join(self._pieces)

    async def piece(self) -> bytes:
        """What has come since the last time; empty at the end of the answer."""
        if not self._pieces and not self._complete:
            if self._error is None:
                await self._wait()
            if self._error is not None and not self._pieces:
                raise self._error
        if not self._pieces:
            return b""
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return piece

    def release(self) -> None:
        """Done with it: kept for the next call after a complete answer, closed otherwise, which cancels upstream."""
        self._pool.busy.discard(self)
        if self._complete and self._keep and self._error is None and self._transport is not None:
            self._pool.keep(self)
        else:
            self.close()

    def close(self) -> None:
        self._pool.busy.discard(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    @property
    def alive(self) -> bool:
        return self._transport is not None and self._error is None and not self._transport.is_closing()

    def fail(self, reason: str) -> None:
        """End what is waited for with an error."""
        if self._error is None:
            self._error = UpstreamError(
                reason, started=self._begun, stale=self.used > 1 and not self._begun and reason == "closed"
            )
        self._wake()
        self.close()

    def late(self) -> None:
        self.fail(f"no {self._late} in time")

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._parser is not None and self._begun and not self._complete and not self._framed:
            self.on_message_complete()  # an answer that the end of the connection ends
            self._keep = False
            return
        self._pool.lost(self)
        self.fail("closed")

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._complete:
            self.fail("said something unasked")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("answered in no HTTP")

    # -- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:  # 100 Continue, 103 Early Hints: the answer is yet to come
            self.headers = []
            return
        self._begun = True
        self._framed = False
        for name, value in self.headers:
            if name == b"content-type":
                self._streamed = value.startswith(b"text/event-stream")
            elif name in (b"content-length", b"transfer-encoding"):
                self._framed = True
        self._late = "next token"
        self.deadline = time.monotonic() + self._gap
        if self._streamed:
            self._wake()

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        if self._streamed:
            self.deadline = time.monotonic() + self._gap
            if self._held > 262_144 and self._reading and self._transport is not None:
                self._reading = False  # the client reads slower than the engine writes
                self._transport.pause_reading()
            self._wake()
        elif self._held > self._pool.answer_bytes:
            self.fail("answered more than upstream.answer_bytes")

    def on_message_complete(self) -> None:
        if not self._begun:
            return
        assert self._parser is not None
        self._complete = True
        self._keep = self._parser.should_keep_alive()
        self._wake()


class Pool:
    """The connections to one replica."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, connect_seconds: float, idle_seconds: float,
        answer_bytes: int,
    ) -> None:  # fmt: skip
        self._host, self._port, self._context = host, port, context
        self._connect_seconds, self._idle_seconds = connect_seconds, idle_seconds
        self.answer_bytes = answer_bytes
        self._idle: list[Connection] = []
        self.busy: set[Connection] = set()

    async def connection(self, *, fresh: bool = False) -> Connection:
        """One that is free: the last used, or a new one."""
        while self._idle and not fresh:
            kept = self._idle.pop()
            if kept.alive:
                return kept
        loop = asyncio.get_running_loop()
        made = Connection(self)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await loop.create_connection(
                    lambda: made,
                    self._host,
                    self._port,
                    ssl=self._context,
                    server_hostname=self._host if self._context else None,
                )
        except TimeoutError:
            raise UpstreamError("no connection in time") from None
        except ssl.SSLError as error:
            raise UpstreamError(f"TLS: {error.reason or error}") from None
        except OSError as error:
            raise UpstreamError(f"no connection: {error.strerror or error}") from None
        return made

    def keep(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def fail_waiting(self, reason: str) -> None:
        """Fail those that still wait for a first byte: they may go elsewhere."""
        for each in [each for each in self.busy if not each.begun]:
            each.fail(reason)

    def sweep(self, now: float) -> None:
        """Fail what is late, close what was idle for long. Called a few times a second."""
        for each in [each for each in self.busy if now > each.deadline]:
            each.late()
        while self._idle and now - self._idle[0].idle_since > self._idle_seconds:
            self._idle.pop(0).close()

    def close(self) -> None:
        """Close the idle ones; those in use end with their calls."""
        while self._idle:
            self._idle.pop().close()
