"""The gateway itself: looks up who asks, sends calls through the pipeline, answers the small things here."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.admission import Admission
from wxruntime.gateway.allowlist import Allowlist, Guest, Peer
from wxruntime.gateway.cache_metrics import CacheMetrics
from wxruntime.gateway.exchange import JSON, Answer, Asked, Call, Refusal, Route
from wxruntime.gateway.health import Health
from wxruntime.gateway.limits import Limits
from wxruntime.gateway.metrics import Metrics
from wxruntime.gateway.models import Models
from wxruntime.gateway.pipeline import Observer, Observers, Picker, Stage, chain
from wxruntime.gateway.prefix_picker import PrefixPicker
from wxruntime.gateway.relay import Relay
from wxruntime.gateway.replica import LeastBusy, Replica, RoundRobin
from wxruntime.gateway.request import Request
from wxruntime.gateway.response_cache import ResponseCache
from wxruntime.gateway.usage_asked import ask_for_usage

if TYPE_CHECKING:
    from wxruntime.gateway.edge import Edge

CALLS: dict[bytes, Route] = {
    b"/v1/chat/completions": "chat",
    b"/v1/completions": "completion",
    b"/v1/embeddings": "embedding",
    b"/tokenize": "tokenize",
    b"/detokenize": "detokenize",
}
SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Gateway:
    """Holds the configuration that is in force, and everything that outlives a reload of it."""

    def __init__(
        self, settings: config.Config, observers: Sequence[Observer] = (), picker: Picker | None = None
    ) -> None:
        self.metrics = Metrics()
        self.caching = CacheMetrics(self.metrics.registry)
        self.observers = Observers(self.metrics, *observers)
        self._own_picker = picker
        self.picker: Picker = picker or LeastBusy()
        self.cache: ResponseCache | None = None
        self.edge: Edge | None = None
        self.limits = Limits()
        self._leaving: list[Replica] = []  # of configurations before, with calls under way
        self.admission = Admission(settings.admission, self._leaving)
        self.draining = False
        self._ids = (f"{os.urandom(6).hex()}-{number:x}" for number in itertools.count(1))
        self._decoder = msgspec.json.Decoder(Asked)
        self.models: Models | None = None
        self.relay: Relay | None = None
        self.settings = settings
        self.use(settings)

    def use(self, settings: config.Config, draining: Collection[tuple[str, str]] = ()) -> None:
        """Take up a configuration. Calls that are under way end as they began.

        draining: model and URL of replicas that get no new calls.
        """
        before, was = self.models, self.settings
        self.settings = settings
        self.allowlist = Allowlist(settings.clients)
        self.models = Models(settings, self.observers, before, draining)
        left = before.all_but(self.models.replicas()) if before is not None else []
        self._leaving += left
        self.admission.use(self.models, settings.admission)
        self._use_picker(settings.routing)
        self._use_cache(settings.cache, was.cache)
        self._use_edge(settings, was)
        self._use_relay(settings.upstream)
        self.health = Health(self.models, settings, self.admission.pump)
        self.metrics.watch(self.models, self.admission)
        self.metrics.left(left)
        assert self.relay is not None
        self.proceed = chain(self.stages(), self.relay)

    def _use_relay(self, settings: config.Upstream) -> None:
        """One for all configurations: calls that were admitted under the one before end in it, too."""
        assert self.models is not None
        if self.relay is None:
            self.relay = Relay(self.models, settings, self.picker, self.observers)
        else:
            self.relay.models, self.relay.settings, self.relay.picker = self.models, settings, self.picker

    def tick(self) -> None:
        """A few times a second: deadlines and probes, also of replicas that have left and still answer."""
        self.health.tick()
        for replica in self._leaving[:]:
            replica.pool.sweep(time.monotonic())
            if not replica.pool.busy:
                replica.pool.close()
                self._leaving.remove(replica)

    def stages(self) -> list[Stage]:
        """What a call passes through before the relay, in order."""
        cache: list[Stage] = [self.cache] if self.cache is not None else []
        edge: list[Stage] = [self.edge] if self.edge is not None else []
        return [self.limits, *cache, ask_for_usage, *edge, self.admission]

    def _use_picker(self, settings: config.Routing) -> None:
        """Prefixes that were learned stay, unless what is learned by has changed."""
        assert self.models is not None
        if self._own_picker is not None:
            return
        before = self.picker
        if settings.policy != "prefix":
            self.picker = LeastBusy() if settings.policy == "least_busy" else RoundRobin()
        elif not isinstance(before, PrefixPicker) or before.settings != settings:
            self.picker = PrefixPicker(settings)
        if isinstance(before, PrefixPicker) and before is not self.picker:
            self.observers.all.remove(before)
        if isinstance(self.picker, PrefixPicker):
            if before is not self.picker:
                self.observers.all.append(self.picker)
            self.picker.keep_only({replica.url for replica in self.models.replicas()})
        self.caching.picker = self.picker if isinstance(self.picker, PrefixPicker) else None

    def _use_cache(self, settings: config.Cache | None, was: config.Cache | None) -> None:
        """Answers that are kept stay, unless the cache's settings have changed."""
        if settings != was or self.cache is None:
            before, self.cache = self.cache, None
            if before is not None and before.shared is not None:
                self._closing = asyncio.ensure_future(before.close())
            if settings is not None:
                self.cache = ResponseCache.of(settings, self._revision)
        self.caching.cache = self.cache

    def _use_edge(self, settings: config.Config, was: config.Config) -> None:
        """The line to the center stays, unless its settings have changed."""
        if self.edge is not None and settings.edge != was.edge:
            self.edge.leave()
            self.edge = None
        if self.edge is not None:
            self.edge.reload()
        elif settings.edge is not None:
            from wxruntime.gateway.edge import Edge

            self.edge = Edge(settings.edge, settings.breaker, lambda name: self.admission.gates[name].queue.length)
        self.caching.edge = self.edge

    def _revision(self, model: str) -> str:
        assert self.models is not None
        return self.models.by_name[model].settings.revision

    async def close(self) -> None:
        """Let go of what is held outside of this process."""
        if self.cache is not None:
            await self.cache.close()
        if self.edge is not None:
            self.edge.close()

    # -- connection.Handler

    def admit(self, request: Request) -> None:
        """The allowlist: before anything else about a request is looked at, and on every path."""
        connection = request.connection
        authorization = request.header(b"authorization")
        known = connection.known
        if known is not None and known[0] is self.allowlist and known[1] == authorization:
            guest = known[2]
        else:
            guest = self.allowlist.find(connection.peer, authorization)
            connection.known = (self.allowlist, authorization, guest)
        if guest is None:
            raise Refusal(401, "unknown_client", "no certificate, API key or network of yours is on the allowlist")
        request.guest = guest
        path, method = request.path, request.method
        if path in CALLS:
            wanted, allowed = "inference", b"POST"
        elif path == b"/v1/models" or path.startswith(b"/v1/models/") or path == b"/openapi.json":
            wanted, allowed = "inference", b"GET"
        elif path in (b"/health", b"/ready"):
            wanted, allowed = "probes", b"GET"
        elif path == b"/metrics":
            wanted, allowed = "metrics", b"GET"
        else:
            raise Refusal(404, "no_such_path", f"there is no {path.decode('latin-1')!r} here")
        if wanted == "inference" and connection.probes:  # no certificate was asked for there, and nothing is encrypted
            raise Refusal(403, "probes_only", "this address is for /health, /ready and /metrics alone")
        if wanted not in guest.allow:
            raise Refusal(403, "not_allowed", f"{guest.name} may not use {path.decode()}")
        if method != allowed:
            raise Refusal(405, "method", f"{path.decode()} takes {allowed.decode()}")
        if self.draining and wanted == "inference":
            raise Refusal(503, "draining", "this gateway is going down, ask another one", retry_after=1)

    def refused(self, request: Request | None, refusal: Refusal, peer: Peer) -> None:
        guest = request.guest if request is not None else None
        self.observers.refused(refusal, guest.name if guest else None, peer.address)

    async def handle(self, request: Request) -> None:
        route = CALLS.get(request.path)
        if route is None:
            await request.send(self._local(request))
            return
        assert request.guest is not None
        try:
            call = self._call(request, request.guest, route)
        except Refusal as refusal:
            self.refused(request, refusal, request.connection.peer)
            await request.send(refusal.answer())
            return
        self.observers.arrived(call)
        try:
            await self._answer(request, call)
        except (asyncio.CancelledError, ConnectionResetError):
            gone = request.connection.transport is None
            call.outcome, call.error = ("left", "client_left") if gone else ("broken", "draining")
            raise
        except BaseException as error:
            call.outcome, call.error = "error", type(error).__name__
            raise
        finally:
            for ending in call.endings:
                ending()
            call.ended = time.monotonic()
            self.observers.ended(call)

    async def _answer(self, request: Request, call: Call) -> None:
        try:
            answer = await self._proceed(call)
        except Refusal as refusal:
            call.outcome = "error" if refusal.status in (502, 504) or refusal.code == "no_replica" else "refused"
            call.error = refusal.code
            call.status = refusal.status
            if call.outcome == "refused":
                self.refused(request, refusal, request.connection.peer)
            answer = refusal.answer()
            answer.headers = [*answer.headers, (b"x-request-id", call.id.encode())]
        else:
            call.status = answer.status
            if answer.status >= 400:
                call.outcome, call.error = "error", f"status_{answer.status}"
        await request.send(answer)

    async def _proceed(self, call: Call) -> Answer:
        try:
            return await self.proceed(call)
        except UNREADABLE as error:  # a field that is read only where the body has to be written anew
            raise _not_json(error) from None

    def _call(self, request: Request, guest: Guest, route: Route) -> Call:
        """The body understood as far as the gateway needs it. It goes upstream as it came."""
        body = bytes(request.body)
        try:
            asked = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise Refusal(400, "malformed_body", f"the body is no request: {error}") from None
        except UNREADABLE as error:
            raise _not_json(error) from None
        assert self.models is not None
        model = self.models.by_name.get(asked.model)
        if model is None or not guest.may_use(model.name, asked.model):
            raise Refusal(404, "model_not_found", f"there is no model {asked.model!r} for {guest.name}")
        received = time.monotonic()
        own_id = request.header(b"x-request-id")
        call_id = own_id.decode() if own_id is not None and SANE_ID.match(own_id) else next(self._ids)
        return Call(
            call_id, guest, route, request.path, body, asked, request.headers, received,
            model=model.name, deadline=received + self._patience(request),
        )  # fmt: skip

    def _patience(self, request: Request) -> float:
        """Seconds that the call may wait for a turn: the configuration's, or fewer if the client says so."""
        longest = self.settings.admission.wait_seconds
        given = request.header(b"x-wxops-wait-seconds")
        if given is None:
            return longest
        try:
            return max(0.0, min(float(given), longest))
        except ValueError:
            raise Refusal(400, "malformed_header", "x-wxops-wait-seconds should be a number of seconds") from None

    # -- what the gateway answers by itself

    def _local(self, request: Request) -> Answer:
        assert request.guest is not None and self.models is not None
        path = request.path
        if path == b"/health":
            return self.health.live()
        if path == b"/ready":
            return self.health.ready(self.draining)
        if path == b"/metrics":
            return Answer(200, [(b"content-type", self.metrics.content_type)], self.metrics.exposition())
        if path == b"/openapi.json":
            from wxruntime.gateway.openapi import document

            return Answer(200, JSON, msgspec.json.encode(document()))
        listed = [
            {"id": name, "object": "model", "created": model.created, "owned_by": "wxops"}
            for name, model in self.models.by_name.items()
            if request.guest.may_use(model.name, name)
        ]
        if path == b"/v1/models":
            return Answer(200, JSON, msgspec.json.encode({"object": "list", "data": listed}))
        wanted = path.removeprefix(b"/v1/models/").decode("utf-8", "replace")
        for each in listed:
            if each["id"] == wanted:
                return Answer(200, JSON, msgspec.json.encode(each))
        refusal = Refusal(404, "model_not_found", f"there is no model {wanted!r} for {request.guest.name}")
        self.refused(request, refusal, request.connection.peer)
        return refusal.answer()

    def leaving(self, model: str) -> list[Replica]:
        """Replicas that the model has no more, with calls under way."""
        return [each for each in self._leaving if each.model == model and each.running]


def _not_json(error: Exception) -> Refusal:
    return Refusal(400, "malformed_json", f"the body is not JSON: {error}")
