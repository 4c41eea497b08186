"""An edge's line to its center: gRPC over TLS 1.3 with a client certificate, one connection for all calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncGenerator

from grpclib.client import Channel, UnaryStreamMethod
from grpclib.config import Configuration
from grpclib.exceptions import GRPCError, StreamTerminatedError

from wxruntime.gateway import config
from wxruntime.gateway.breaker import Breaker, State
from wxruntime.gateway.center_pb2 import Ask, Head, Piece
from wxruntime.gateway.exchange import Answer, Call, Headers, error_event
from wxruntime.gateway.tls import edge_context
from wxruntime.gateway.usage import StreamUsage, usage_of

log = logging.getLogger("wxruntime.gateway.edge")

METHOD = "/wxops.center.v1.Center/Answer"
# What a center says that is there and does not take this edge's call now: the edge answers for it.
NOT_NOW = frozenset({401, 403, 429, 502, 503, 504})
LOST = (OSError, TimeoutError, GRPCError, StreamTerminatedError, ssl.SSLError)


class CenterLost(Exception):
    """The center did not answer; the edge is alone with this call."""


class Center:
    """Asks, and remembers for how long the center has not answered."""

    def __init__(self, settings: config.Edge, breaker: config.Breaker) -> None:
        self._settings = settings
        self._breaker = Breaker(breaker, self._changed)
        lines = Configuration(
            _keepalive_time=10,
            _keepalive_timeout=5,
            _keepalive_permit_without_calls=True,
            _http2_max_pings_without_data=0,
            _http2_min_sent_ping_interval_without_data=10,
            ssl_target_name_override=settings.tls.server_name,
        )
        self._context = edge_context(settings.tls)
        self._channel = Channel(settings.host, settings.port, ssl=self._context, config=lines)
        self._ending = set[asyncio.Future[None]]()
        self._asking = 0  # calls under way
        self._leaving = False
        self._method = UnaryStreamMethod(self._channel, METHOD, Ask, Piece)

    @property
    def up(self) -> bool:
        return self._breaker.state == "closed"

    async def ask(self, call: Call, body: bytes) -> Answer:
        """The center's answer, its stream as it comes. CenterLost as long as nothing of one has come."""
        now = time.monotonic()
        if not self.up and not self._breaker.wants_probe(now):
            raise CenterLost("it has not answered for a while")
        pieces = self._pieces(call, body)
        try:
            head = (await anext(pieces)).head
            if not 200 <= head.status < 600 or not (head.content_type + head.retry_after + head.cache).isprintable():
                raise CenterLost("it does not speak as a center does")
            if head.status in NOT_NOW:
                raise CenterLost(f"it says {head.status}")
            answer = await self._answer(call, head, pieces)
        except (*LOST, StopAsyncIteration, CenterLost) as error:
            await _close(pieces)
            self._breaker.failed(time.monotonic())
            raise CenterLost(str(error) or type(error).__name__) from None
        except BaseException:
            await _close(pieces)
            raise
        self._breaker.succeeded()
        return answer

    def reload(self) -> None:
        """Take up certificate, key and authority as they are now; the next connection is made with them."""
        settings = self._settings.tls
        self._context.load_cert_chain(settings.certificate, settings.key)
        self._context.load_verify_locations(cafile=str(settings.ca))

    def leave(self) -> None:
        """Close as soon as the calls that are under way have ended."""
        self._leaving = True
        self._close_if_left()

    def close(self) -> None:
        self._channel.close()

    def _close_if_left(self) -> None:
        if self._leaving and not self._asking:
            self._channel.close()

    async def _pieces(self, call: Call, body: bytes) -> AsyncGenerator[Piece, None]:
        """What the center says. Closing this before its end cancels the work at the center."""
        settings = self._settings
        self._asking += 1
        try:
            async with self._method.open() as stream:
                async with asyncio.timeout(settings.connect_seconds):
                    await stream.send_request()
                async with asyncio.timeout(settings.first_token_seconds):
                    await stream.send_message(_ask(call, body), end=True)
                    piece = await stream.recv_message()
                while piece is not None:
                    yield piece
                    async with asyncio.timeout(settings.between_tokens_seconds):
                        piece = await stream.recv_message()
        finally:
            self._asking -= 1
            self._close_if_left()

    async def _answer(self, call: Call, head: Head, pieces: AsyncGenerator[Piece, None]) -> Answer:
        headers: Headers = [(b"content-type", head.content_type.encode()), (b"x-request-id", call.id.encode())]
        if head.retry_after:
            headers.append((b"retry-after", head.retry_after.encode()))
        if head.cache:
            headers.append((b"x-cache", head.cache.encode()))
        if head.content_type.startswith("text/event-stream"):
            call.endings.append(lambda: self._end(pieces))  # a stream may be dropped before anybody reads it
            return Answer(head.status, headers, stream=self._events(call, pieces))
        body = b"".join([piece.data async for piece in pieces])
        call.first_byte = call.last_byte = time.monotonic()
        if head.status == 200:
            usage_of(body, call.usage)
        return Answer(head.status, headers, body)

    async def _events(self, call: Call, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[bytes, None]:
        usage = StreamUsage(call.usage)
        try:
            async for piece in pieces:
                now = time.monotonic()
                if call.first_byte is None:
                    call.first_byte = now
                usage.feed(piece.data)
                call.last_byte = now
                yield piece.data
            usage.end()
            if not usage.done:
                raise StreamTerminatedError("the stream ended early")
        except LOST as error:
            self._breaker.failed(time.monotonic())
            call.outcome, call.error = "broken", "center"
            yield usage.border + error_event(502, "center", f"the center's answer broke off: {error}")
        finally:
            await _close(pieces)

    def _end(self, pieces: AsyncGenerator[Piece, None]) -> None:
        task = asyncio.ensure_future(_close(pieces))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _changed(self, before: State, after: State) -> None:
        level = logging.INFO if after == "closed" else logging.WARNING
        log.log(level, "the center's breaker: %s, was %s", after, before)


async def _close(pieces: AsyncGenerator[Piece, None]) -> None:
    """The work at the center is ended; that the line breaks in the same moment is no news to anybody."""
    with contextlib.suppress(*LOST):
        await pieces.aclose()


def _ask(call: Call, body: bytes) -> Ask:
    told = dict(call.headers)
    return Ask(
        path=call.path.decode("latin-1"),
        body=body,
        id=call.id,
        traceparent=told.get(b"traceparent", b"").decode("latin-1"),
        tracestate=told.get(b"tracestate", b"").decode("latin-1"),
        cache_control=told.get(b"cache-control", b"").decode("latin-1"),
    )
