"""Whether the gateway is ready, which a real token through a replica proves, and whether it is alive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.exchange import JSON, Answer
from wxruntime.gateway.models import Model, Models
from wxruntime.gateway.replica import Replica
from wxruntime.gateway.upstream import UpstreamError

PROBES: dict[str, tuple[bytes, dict[str, object]]] = {
    "chat": (b"/v1/chat/completions", {"messages": [{"role": "user", "content": "ok?"}], "max_tokens": 1}),
    "completion": (b"/v1/completions", {"prompt": "ok?", "max_tokens": 1}),
    "embedding": (b"/v1/embeddings", {"input": "ok?"}),
}
LATE_LOOP_SECONDS = 0.25  # the loop looks at itself this often


class Health:
    """Asks replicas for one token when nothing else has shown that they live. One for each configuration in force."""

    def __init__(self, models: Models, settings: config.Config, changed: Callable[[], None]) -> None:
        self._models, self._settings, self._changed = models, settings.health, changed
        self._upstream = settings.upstream
        self._asking: dict[Replica, asyncio.Task[None]] = {}
        self._beat = time.monotonic()
        self._worst_lag = 0.0

    # -- what is told

    def live(self) -> Answer:
        """200 while the event loop gets on; a loop that stands answers nothing, one that crawls says so."""
        lag = max(self._worst_lag, time.monotonic() - self._beat - LATE_LOOP_SECONDS)
        fine = lag < self._settings.stall_seconds
        body = {"status": "ok" if fine else "stalled", "loop_lag_seconds": round(lag, 3)}
        return Answer(200 if fine else 503, JSON, msgspec.json.encode(body))

    def ready(self, draining: bool) -> Answer:
        """200 once a replica of some model has made a token, and as long as one takes calls."""
        models = {model.name: self._state(model) for model in self._models.all}
        fine = not draining and any(state in ("ready", "emergency") for state in models.values())
        status = "draining" if draining else "ready" if fine else "not ready"
        return Answer(200 if fine else 503, JSON, msgspec.json.encode({"status": status, "models": models}))

    @staticmethod
    def _state(model: Model) -> str:
        for name, replicas in (("ready", model.replicas), ("emergency", model.emergency)):
            if any(replica.takes_calls and replica.proven for replica in replicas):
                return name
        return "out"

    # -- what is done

    def tick(self) -> None:
        """A few times a second: look at the clock, and begin the probes that are due."""
        now = time.monotonic()
        lag = now - self._beat - LATE_LOOP_SECONDS
        self._worst_lag = max(lag, self._worst_lag * 0.9)
        self._beat = now
        for model in self._models.all:
            for replica in (*model.replicas, *model.emergency):
                replica.pool.sweep(now)
                if replica not in self._asking and self._due(replica, now):
                    task = asyncio.get_running_loop().create_task(self._probe(model, replica))
                    self._asking[replica] = task
                    task.add_done_callback(lambda _, replica=replica: self._asking.pop(replica))  # type: ignore[misc]

    def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()

    def _due(self, replica: Replica, now: float) -> bool:
        if replica.breaker.state != "closed":
            return replica.breaker.wants_probe(now)
        return now - max(replica.last_sign, replica.last_probe) > (
            self._settings.interval_seconds if replica.proven else min(0.5, self._settings.interval_seconds)
        )

    async def _probe(self, model: Model, replica: Replica) -> None:
        """One token. Some misses in a row, and the replica is out, with those who still wait for it going elsewhere."""
        if replica.last_sign > replica.last_probe:
            replica.misses = 0  # it has answered somebody meanwhile: those before were in another row
        replica.last_probe = time.monotonic()
        before = replica.breaker.state
        if not (trouble := await self._trouble(model, replica)):
            replica.succeeded()
            replica.misses = 0
        elif before == "half-open":
            replica.failed(trouble)
        elif replica.last_sign < replica.last_probe:
            replica.misses += 1
            replica.trouble = trouble
            if replica.misses >= self._settings.misses:
                replica.breaker.open(time.monotonic())
                replica.pool.fail_waiting("is out")
        if replica.breaker.state != before:
            self._changed()

    async def _trouble(self, model: Model, replica: Replica) -> str:
        """Why no token came; nothing when one did, or when the replica is busy making others'."""
        seconds = self._settings.timeout_seconds
        if model.settings.probe == "health":
            head, body = replica.get(b"/health"), b""
        else:
            path, fields = PROBES[model.settings.probe]
            body = msgspec.json.encode({"model": replica.served_name or model.name, **fields})
            head = replica.head(path, f"probe-{time.time_ns():x}", len(body))
        try:
            connection = await replica.pool.connection(fresh=True)
            try:
                await connection.ask(head, body, seconds, seconds)
                full = replica.full(connection.status, connection.headers)
                if full and b'"not_ready"' in connection.body():
                    return "still loads its model"
                return "" if full or connection.status == 200 else f"answers {connection.status} to a probe"
            finally:
                connection.release()
        except UpstreamError as error:
            return error.reason
