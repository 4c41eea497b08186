"""A center's door for edges: gRPC over TLS 1.3 with client certificates, into the same pipeline as HTTP."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, cast

import grpclib.const
import grpclib.server
from grpclib.server import Server

from wxruntime.gateway import config, tls
from wxruntime.gateway.allowlist import Peer, peer
from wxruntime.gateway.center_client import METHOD
from wxruntime.gateway.center_pb2 import Ask, Head, Piece
from wxruntime.gateway.exchange import Answer, Headers, Refusal
from wxruntime.gateway.listener import bound

if TYPE_CHECKING:
    from wxruntime.gateway.app import Gateway
    from wxruntime.gateway.request import Request

Stream = grpclib.server.Stream[Ask, Piece]


class Center:
    """Listens for edges. Who may ask is the gateway's allowlist, by certificate."""

    def __init__(self, settings: config.Center, requests: config.Requests, gateway: Gateway) -> None:
        self._settings, self._limit, self._gateway = settings, requests.body_bytes, gateway
        self._context = server_context(settings.tls)
        self._trust = tls.Trust(settings.tls)
        self._server = Server([self])
        self.port = settings.port
        self.answering = 0

    async def start(self) -> None:
        sock = bound(self._settings.address, self._settings.port)
        self.port = sock.getsockname()[1]
        await self._server.start(sock=sock, ssl=self._context)

    def reload(self, requests: config.Requests) -> None:
        """Take up the files as they are now, also for connections that are there: each call is looked at anew."""
        self._limit = requests.body_bytes
        settings = self._settings.tls
        self._context.load_cert_chain(settings.certificate, settings.key)
        for path in (settings.client_ca, settings.crl):
            if path is not None:
                self._context.load_verify_locations(cafile=str(path))
        self._trust = tls.Trust(settings)

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        return {METHOD: grpclib.const.Handler(self._answer, grpclib.const.Cardinality.UNARY_STREAM, Ask, Piece)}

    async def _answer(self, stream: Stream) -> None:
        """One call. grpclib cancels it when the edge goes, and so the work at the engine ends, too."""
        ask = await stream.recv_message()
        if ask is None:
            return
        assert stream.peer is not None
        address = (stream.peer.addr() or ("", 0))[0]
        asked = Asked(ask, peer(address, stream.peer.cert()), stream)
        request = cast("Request", asked)  # all that the gateway looks at in one
        try:
            if not self._trust.holds(_certificate(stream)):
                raise Refusal(401, "unknown_client", "your certificate is not taken any more")
            self._gateway.admit(request)
            if len(ask.body) > self._limit:
                raise Refusal(413, "body_too_large", f"the body has more than {self._limit} bytes")
        except Refusal as refusal:
            self._gateway.refused(request, refusal, asked.connection.peer)
            await asked.send(refusal.answer())
            return
        self.answering += 1
        try:
            await self._gateway.handle(request)
        finally:
            self.answering -= 1


def _certificate(stream: Stream) -> bytes:
    """The edge's certificate as it was shown; TLS has made sure that there is one."""
    assert stream.peer is not None
    return bytes(stream.peer._transport.get_extra_info("ssl_object").getpeercert(binary_form=True))


class Asked:
    """A request that came over gRPC, as the gateway reads those over HTTP."""

    method = b"POST"

    def __init__(self, ask: Ask, who: Peer, stream: Stream) -> None:
        self._stream = stream
        self.connection = _Line(who)
        self.path = ask.path.encode("latin-1", "replace")
        self.body = ask.body
        told = {
            b"x-request-id": ask.id,
            b"traceparent": ask.traceparent,
            b"tracestate": ask.tracestate,
            b"cache-control": ask.cache_control,
        }
        self.headers: Headers = [(name, value.encode("latin-1", "replace")) for name, value in told.items() if value]
        self.guest: Any = None

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    async def send(self, answer: Answer) -> None:
        told = dict(answer.headers)

        def text(name: bytes) -> str:
            return told.get(name, b"").decode("latin-1")

        head = Head(
            status=answer.status,
            content_type=text(b"content-type"),
            retry_after=text(b"retry-after"),
            cache=text(b"x-cache"),
            engine=text(b"x-wxops-engine"),
        )
        try:
            await self._stream.send_message(Piece(head=head))
            if answer.stream is None:
                await self._stream.send_message(Piece(data=answer.body))
                return
            async for piece in answer.stream:
                await self._stream.send_message(Piece(data=piece))
        finally:
            if answer.stream is not None:
                await answer.stream.aclose()


class _Line:
    """An edge's connection; what the gateway remembers of one goes with the call."""

    known: Any = None
    probes = False

    def __init__(self, who: Peer) -> None:
        self.peer = who


def server_context(settings: config.TLS) -> ssl.SSLContext:
    """As for HTTP, with gRPC's protocol."""
    context = tls.server_context(settings)
    context.set_alpn_protocols(["h2"])
    return context
