"""A client's connection: HTTP/1.1 read under limits and deadlines, answers written as fast as the client reads them.

A protocol of our own over httptools, not a framework: it holds a client to its deadlines from the first byte of the
first header on, refuses a stranger before the body is read, and costs a third of aiohttp's server a request.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools

from wxruntime.gateway.allowlist import Guest, Peer, peer
from wxruntime.gateway.exchange import Answer, Refusal, error_event
from wxruntime.gateway.request import Request

if TYPE_CHECKING:
    from wxruntime.gateway.listener import Listener

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
LINGER_SECONDS = 2.0  # how long a refused client may go on sending before the connection is cut
LINGER_BYTES = 16 * 1024 * 1024
PIPELINED_BYTES = 65536


class Connection(asyncio.Protocol):
    """One client. Requests are answered in their order; a second one waits unread until the first is answered."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._handler = listener.handler
        self.probes = listener.probes
        self.transport: asyncio.Transport | None = None
        self.peer = Peer("")
        self.known: tuple[Any, bytes | None, Guest | None] | None = None  # who asked last: allowlist, key, guest
        self.certificate: bytes | None = None
        self._parser: Any = None
        self._request: Request | None = None  # being read
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._unread: bytearray = bytearray()  # came while a request is answered
        self._head_bytes = 0
        self._bodiless = 0  # bytes after the headers that were no body: trailers, extensions of chunks
        self._discarding = False
        self._discarded = 0
        self._blocked: asyncio.Future[None] | None = None
        self._blocked_since = 0.0
        self._closing = False
        self.phase = "headers"  # of reading: idle, headers, body, discard
        self.deadline: float | None = None  # of that phase; None while an answer is under way

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        name = transport.get_extra_info("peername")
        self.peer = peer(name[0] if name else "", transport.get_extra_info("peercert"))
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(binary_form=True)
        if not self._listener.opened(self):
            self.transport.abort()
            return
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = time.monotonic() + self._limits.header_seconds

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._listener.closed(self)
        self._parser = None
        self._waiting.clear()
        if self._blocked is not None and not self._blocked.done():
            self._blocked.set_exception(ConnectionResetError("the client has left"))
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.abort()
            return
        if self._task is not None:
            self._unread += data
            if len(self._unread) > PIPELINED_BYTES and self.transport is not None:
                self.transport.pause_reading()
            return
        self._feed(data)

    def pause_writing(self) -> None:
        self._blocked = asyncio.get_running_loop().create_future()
        self._blocked_since = time.monotonic()

    def resume_writing(self) -> None:
        if self._blocked is not None and not self._blocked.done():
            self._blocked.set_result(None)
        self._blocked = None

    # -- reading

    def _feed(self, data: bytes) -> None:
        if self.phase == "idle":
            self._enter("headers", self._limits.header_seconds)
        if self.phase == "headers":
            self._head_bytes += len(data)
        elif self.phase == "body":
            self._bodiless += len(data)  # until some of it turns out to be body
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # refused when its headers were complete
        except httptools.HttpParserError as error:
            self._refuse_now(Refusal(400, "malformed_http", f"not HTTP/1.1: {error}"))
        if self._limits.header_bytes < (self._head_bytes if self.phase == "headers" else self._bodiless):
            self._refuse_now(self._head_too_large())

    def on_message_begin(self) -> None:
        self._request = Request(self)
        if self._waiting or self._task is not None:  # pipelined, in the same piece as the one before
            self._head_bytes = 0
            self.phase = "headers"

    def on_url(self, url: bytes) -> None:
        assert self._request is not None
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._request is not None
        if self.phase == "headers":  # a trailer comes after all has been decided by the headers, and is none
            self._request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None
        self._enter("body", self._limits.body_seconds)
        self._bodiless = 0
        request.method = self._parser.get_method()
        request.http11 = self._parser.get_http_version() == "1.1"
        request.path = request.url.partition(b"?")[0]
        try:
            if self._parser.should_upgrade():
                raise Refusal(400, "upgrade", "this server speaks HTTP/1.1 and does not upgrade")
            size, expects = len(request.url), False
            for name, value in request.headers:
                size += len(name) + len(value) + 4
            if size > self._limits.header_bytes:
                raise self._head_too_large()
            self._handler.admit(request)
            for name, value in request.headers:
                if name == b"content-length" and int(value) > self._limits.body_bytes:
                    raise self._too_large()
                if name == b"transfer-encoding" and value.lower() != b"chunked":
                    raise Refusal(400, "transfer_encoding", "a body comes as it is, at most in chunks")
                if name == b"expect" and value.lower() == b"100-continue":
                    expects = True
            if expects and self.transport is not None and self._task is None and not self._waiting:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except Refusal as refusal:
            request.refusal = refusal
            self._queue(request)

    def on_body(self, data: bytes) -> None:
        request = self._request
        self._bodiless = 0
        if request is None or request.refusal is not None:
            return
        if not request.body:
            request.body = data
            return
        if isinstance(request.body, bytes):
            request.body = bytearray(request.body)
        request.body += data
        if len(request.body) > self._limits.body_bytes:
            request.refusal = self._too_large()
            self._queue(request)

    def on_message_complete(self) -> None:
        request = self._request
        self._request = None
        if self._discarding and self.transport is not None:
            self.transport.close()
        if request is None or request.refusal is not None:
            return
        self._enter("idle", self._limits.idle_seconds)
        self._head_bytes = self._bodiless = 0
        request.keep_alive = self._parser.should_keep_alive()
        if len(request.body) > self._limits.body_bytes:
            request.refusal = self._too_large()
        self._queue(request)

    def _enter(self, phase: str, seconds: float) -> None:
        self.phase = phase
        self.deadline = None if self.busy else time.monotonic() + seconds

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return self._task is not None

    @property
    def reading(self) -> bool:
        """Whether a request has begun to come."""
        return self._request is not None

    def _head_too_large(self) -> Refusal:
        return Refusal(431, "headers_too_large", f"the headers exceed {self._limits.header_bytes} bytes")

    def _too_large(self) -> Refusal:
        return Refusal(413, "body_too_large", f"the body exceeds {self._limits.body_bytes} bytes")

    def _refuse_now(self, refusal: Refusal) -> None:
        """What is being read is no request: say so behind the answers that are still due, then close."""
        if self._closing or self._discarding:
            return
        request = self._request or Request(self)
        if request.refusal is None:
            request.refusal = refusal
            self._queue(request)

    # -- answering

    def _queue(self, request: Request) -> None:
        if self._closing:
            return  # it came behind the last one that is answered here
        self._waiting.append(request)
        if self._task is None:
            self._next()

    def _next(self) -> None:
        """Begin with the next request that has been read."""
        self._task = None
        if self.transport is None:
            return
        if self._waiting and not self._closing:
            request = self._waiting.popleft()
            if request.refusal is not None:
                self._refuse(request, request.refusal)
            else:
                self.deadline = None
                self._task = self._listener.loop.create_task(self._answer(request))
            return
        if self._closing or self._listener.draining:
            self._linger()
            return
        seconds = {"idle": self._limits.idle_seconds, "headers": self._limits.header_seconds}
        self.deadline = time.monotonic() + seconds.get(self.phase, self._limits.body_seconds)
        if self._unread:
            data, self._unread = bytes(self._unread), bytearray()
            self.transport.resume_reading()
            self._feed(data)

    async def _answer(self, request: Request) -> None:
        try:
            await self._handler.handle(request)
        except ConnectionResetError:
            self.abort()
        except asyncio.CancelledError:
            self._end_in_words(request)
        except Exception as error:
            self.abort()  # half an answer may be out: only an end without an end is honest
            self._listener.loop.call_exception_handler({"message": "a request was not answered", "exception": error})
        finally:
            self._next()

    def _end_in_words(self, request: Request) -> None:
        """The gateway ends before the answer does: the client is told, if it is still there."""
        if self.transport is None:
            return
        error = Refusal(503, "draining", "the gateway ends and the answer did not in time", retry_after=1)
        if not request.begun:
            request.keep_alive = False
            answer = error.answer()
            self._write_head(request, answer, len(answer.body), answer.body)
        elif request.streams:
            event = error_event(503, error.code, error.message)
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event) if request.http11 else event)
        self.transport.close()

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        self._handler.refused(request, refusal, self.peer)
        answer = refusal.answer()
        request.keep_alive = False
        self._write_head(request, answer, len(answer.body), b"" if request.method == b"HEAD" else answer.body)
        self._closing = True
        self._waiting.clear()
        self._linger()

    def _linger(self) -> None:
        """Close, but read on for a moment: a close with unread bytes would take the answer from the client's hands."""
        if self._discarding or self.transport is None:
            return
        if self._request is None and not self._unread:
            self.transport.close()
            return
        self._discarding = True
        self.phase = "discard"
        self.deadline = time.monotonic() + LINGER_SECONDS
        self.transport.resume_reading()

    async def send(self, request: Request, answer: Answer) -> None:
        """Write an answer, a stream piece by piece. Raises ConnectionResetError when the client has left."""
        if answer.stream is None:
            if self.transport is None:
                raise ConnectionResetError("the client has left")
            self._write_head(request, answer, len(answer.body), b"" if request.method == b"HEAD" else answer.body)
            if self._blocked is not None:
                await self._blocked
        else:
            await self._send_stream(request, answer)
        if not request.keep_alive:
            self._closing = True

    async def _send_stream(self, request: Request, answer: Answer) -> None:
        assert answer.stream is not None
        try:
            self._write_head(request, answer, None)
            async for piece in answer.stream:
                if self.transport is None:
                    raise ConnectionResetError("the client has left")
                self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if request.http11 else piece)
                if self._blocked is not None:
                    await self._blocked
        finally:
            await answer.stream.aclose()
        if request.http11 and self.transport is not None:
            self.transport.write(b"0\r\n\r\n")

    def _write_head(self, request: Request, answer: Answer, length: int | None, body: bytes = b"") -> None:
        if self.transport is None:
            raise ConnectionResetError("the client has left")
        if self._listener.draining:
            request.keep_alive = False
        if length is not None:
            framing = b"content-length: %d\r\n" % length
        elif request.http11:
            framing = b"transfer-encoding: chunked\r\n"
        else:
            framing = b""
            request.keep_alive = False
        if not request.keep_alive:
            framing += b"connection: close\r\n"
        elif not request.http11:
            framing += b"connection: keep-alive\r\n"
        request.begun, request.streams = True, length is None
        lines = b"".join([b"%b: %b\r\n" % each for each in answer.headers])
        status = answer.status
        head = b"HTTP/1.1 %d %b\r\n%b%bdate: %b\r\n\r\n" % (
            status, REASONS.get(status, b"Other"), lines, framing, self._listener.date,
        )  # fmt: skip
        if len(body) < 65536:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))

    # -- deadlines and ends

    def sweep(self, now: float) -> None:
        """End what is too late. Called about once a second."""
        if self.transport is None:
            return
        if self._blocked is not None and now - self._blocked_since > self._limits.write_seconds:
            self._handler.refused(None, Refusal(408, "slow_reader", "does not read its answer"), self.peer)
            self.abort()
        elif self.deadline is not None and now > self.deadline:
            if self.phase == "body" or (self.phase == "headers" and self._head_bytes):
                self._refuse_now(Refusal(408, f"slow_{self.phase}", f"the {self.phase} did not come in time"))
            else:
                self.abort()

    def close_when_idle(self) -> None:
        """Take no further request; end now if none is being answered."""
        self._closing = True
        if self._task is None and self.transport is not None:
            self.transport.close()

    def end_now(self) -> None:
        """Break off what is under way, with an error that says so."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        elif self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
