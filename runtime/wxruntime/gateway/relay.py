"""The last stage: a call goes to a replica, and to another one if that fails before the first byte of an answer."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.exchange import Answer, Call, Headers, Refusal, error_event
from wxruntime.gateway.models import Model, Models
from wxruntime.gateway.pipeline import Observer, Picker
from wxruntime.gateway.replica import Replica
from wxruntime.gateway.upstream import Connection, UpstreamError
from wxruntime.gateway.usage import StreamUsage, usage_of

BROKEN = frozenset({500, 502, 503, 504})  # tried elsewhere
# Between client and gateway, or gateway and replica, alone: not passed on.
HOP = frozenset({
    b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server", b"x-request-id",
    b"upgrade", b"proxy-authenticate", b"trailer", b"set-cookie",
})  # fmt: skip
FORWARDED = frozenset({b"traceparent", b"tracestate"})  # of the client's headers


@dataclass(slots=True)
class Relay:
    """Sends calls upstream. A reload changes its fields: who has waited in the queue goes to the replicas of now."""

    models: Models
    settings: config.Upstream
    picker: Picker
    observer: Observer

    async def __call__(self, call: Call) -> Answer:
        tried: set[Replica] = set()
        fault = Refusal(503, "no_replica", f"no replica of {call.model} is up", retry_after=2)
        for _ in range(self.settings.attempts):
            model = self.models.by_name.get(call.model)  # looked up for each attempt: one may take minutes
            replica = self._choose(call, model, tried) if model is not None else None
            if model is None or replica is None:
                break
            tried.add(replica)
            try:
                answer = await self._ask(call, replica, model)
                if answer.status == 401:  # it is the gateway that has no good key for it, not the client
                    raise UpstreamError("it does not take the gateway's key: see api_key_file")
            except UpstreamError as error:
                replica.failed(error.reason)
                fault = Refusal(502, "upstream", f"a replica of {call.model} failed: {error.reason}", retry_after=1)
                continue
            if answer.status in BROKEN or answer.status == 429:
                if not replica.full(answer.status, answer.headers):
                    replica.failed(f"answers {answer.status}")
                if len(tried) < self.settings.attempts and _others(model, tried):
                    continue
            else:
                replica.succeeded()
            return answer
        raise fault

    def _choose(self, call: Call, model: Model, tried: set[Replica]) -> Replica | None:
        """A replica that takes calls and has not failed this one; an emergency engine when there is no other."""
        for engine, replicas in (("primary", model.replicas), ("emergency", model.emergency)):
            among = [each for each in replicas if each.takes_calls and each not in tried]
            if among:
                call.engine = engine
                among = [each for each in among if each.has_room] or among
                return among[0] if len(among) == 1 else self.picker.pick(call, among)
        return None

    async def _ask(self, call: Call, replica: Replica, model: Model) -> Answer:
        """One attempt. A kept connection that the replica had closed meanwhile is no failure: another one is taken."""
        call.attempts += 1
        call.replica = replica.url
        call.sent = time.monotonic()
        self.observer.sent(call)
        self.picker.routed(call, replica)
        body = call.body if replica.served_name in (None, call.asked.model) else _renamed(call, replica)
        if replica.served_name is None and call.asked.model != call.model:
            body = _renamed(call, replica)
        forwarded = [each for each in call.headers if each[0] in FORWARDED]
        head = replica.head(call.path, call.id, len(body), forwarded)
        connection = await self._connected(replica, head, body)
        headers = self._headers(call, connection)
        if connection.streamed:
            call.endings.append(lambda: _release(replica, connection))
            return Answer(connection.status, headers, stream=self._stream(call, replica, connection))
        call.first_byte = call.last_byte = time.monotonic()
        answer = Answer(connection.status, headers, connection.body())
        _release(replica, connection)
        if connection.status == 200:
            usage_of(answer.body, call.usage)
        return answer

    async def _connected(self, replica: Replica, head: bytes, body: bytes) -> Connection:
        """A connection on which an answer has begun. It counts as running there until it is released."""
        settings = self.settings
        replica.running += 1
        connection: Connection | None = None
        fresh = False
        try:
            while True:
                connection = await replica.pool.connection(fresh=fresh)
                try:
                    await connection.ask(head, body, settings.first_token_seconds, settings.between_tokens_seconds)
                    return connection
                except UpstreamError as error:
                    if not error.stale:
                        raise
                    fresh = True
        except BaseException:
            replica.running -= 1
            if connection is not None:
                connection.close()
            raise

    def _headers(self, call: Call, connection: Connection) -> Headers:
        headers = [each for each in connection.headers if each[0] not in HOP]
        headers.append((b"x-request-id", call.id.encode()))
        if call.engine != "primary":
            headers.append((b"x-wxops-engine", call.engine.encode()))
        return headers

    async def _stream(self, call: Call, replica: Replica, connection: Connection) -> AsyncGenerator[bytes, None]:
        """The events as they come, byte for byte. If they break off, an error event and [DONE] say so."""
        usage = StreamUsage(call.usage)
        try:
            while piece := await connection.piece():
                now = time.monotonic()
                if call.first_byte is None:
                    call.first_byte = now
                usage.feed(piece)
                self.observer.piece(call, piece, now)
                call.last_byte = replica.last_sign = now
                yield piece
            usage.end()
            if not usage.done:
                raise UpstreamError("the stream ended early", started=True)
        except UpstreamError as error:
            replica.failed(error.reason)
            call.outcome, call.error = "broken", error.reason
            yield usage.border + error_event(502, "upstream", f"the answer broke off: {error.reason}")


def _others(model: Model, tried: set[Replica]) -> bool:
    """Whether there is somebody else to try."""
    return any(each.takes_calls and each not in tried for each in (*model.replicas, *model.emergency))


def _release(replica: Replica, connection: Connection) -> None:
    replica.running -= 1
    connection.release()


def _renamed(call: Call, replica: Replica) -> bytes:
    """The body with the name under which the replica knows the model."""
    fields = msgspec.json.decode(call.body)
    fields["model"] = replica.served_name or call.model
    return msgspec.json.encode(fields)
