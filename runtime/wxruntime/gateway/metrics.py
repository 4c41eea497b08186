"""What Prometheus sees of the gateway: calls, refusals, replicas and their breakers. No client stands in a label."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from wxruntime.gateway.admission import Admission
from wxruntime.gateway.breaker import State
from wxruntime.gateway.exchange import Call, Refusal
from wxruntime.gateway.models import Models
from wxruntime.gateway.pipeline import Observer
from wxruntime.gateway.replica import Replica

STATES: dict[State, int] = {"closed": 0, "half-open": 1, "open": 2}


class Metrics(Observer):
    """Counts in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST.encode()

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._calls = Counter(
            "wxops_gateway_calls", "Calls that are over, by how they ended and which engine answered.",
            ["model", "route", "engine", "outcome"], registry=self.registry,
        )  # fmt: skip
        self._kinds: dict[tuple[str, str, str, str], Counter] = {}
        self._refusals = Counter(
            "wxops_gateway_refusals", "Requests turned away, by why.", ["code"], registry=self.registry
        )
        self._breakers = Counter(
            "wxops_gateway_breaker_changes", "Changes of a replica's circuit breaker, by its new state.",
            ["model", "replica", "state"], registry=self.registry,
        )  # fmt: skip
        self._reloads = Counter(
            "wxops_gateway_reloads", "Readings of configuration and certificates.", ["what", "result"],
            registry=self.registry,
        )  # fmt: skip
        self._stale = Gauge(
            "wxops_gateway_reload_failed", "1 while what was read last is broken and the one before is in force.",
            ["what"], registry=self.registry,
        )  # fmt: skip
        self._now = _Now()
        self.registry.register(self._now)

    def watch(self, models: Models, admission: Admission) -> None:
        """What is looked up when Prometheus asks."""
        self._now.models, self._now.admission = models, admission

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def ended(self, call: Call) -> None:
        kind = (call.model, call.route, call.engine, call.outcome)
        counter = self._kinds.get(kind)
        if counter is None:
            counter = self._kinds[kind] = self._calls.labels(*kind)
        counter.inc()

    def refused(self, refusal: Refusal, client: str | None, address: str) -> None:
        self._refusals.labels(refusal.code).inc()

    def breaker(self, replica: Replica, before: State, after: State) -> None:
        """Of one that has left and still answers nothing is counted: its series would be there for ever."""
        if self._now.models is None or replica in self._now.models.replicas():
            self._breakers.labels(replica.model, replica.url, after).inc()

    def left(self, replicas: Iterable[Replica]) -> None:
        """Their series end; those of gauges are looked up and end by themselves."""
        assert self._now.models is not None
        there = {(each.model, each.url) for each in self._now.models.replicas()}
        for each in replicas:
            for state in STATES if (each.model, each.url) not in there else ():
                with contextlib.suppress(KeyError):  # it was never in this one
                    self._breakers.remove(each.model, each.url, state)

    def reloaded(self, what: str, error: str | None) -> None:
        self._reloads.labels(what, "failed" if error else "done").inc()
        self._stale.labels(what).set(1 if error else 0)


class _Now(Collector):
    """Gauges of what is so at this moment."""

    models: Models | None = None
    admission: Admission | None = None

    def collect(self) -> list[GaugeMetricFamily]:
        running = GaugeMetricFamily("vllm:num_requests_running", "Calls at the engines.", labels=["model_name"])
        waiting = GaugeMetricFamily("vllm:num_requests_waiting", "Calls that wait here.", labels=["model_name"])
        emergency = GaugeMetricFamily(
            "wxops_gateway_emergency", "1 while all replicas of a model are out.", labels=["model"]
        )
        state = GaugeMetricFamily(
            "wxops_gateway_breaker_state", "0 closed, 1 half-open, 2 open.", labels=["model", "replica"]
        )
        draining = GaugeMetricFamily(
            "wxops_gateway_replica_draining", "1 for a replica that gets no new calls.", labels=["model", "replica"]
        )
        at = GaugeMetricFamily("wxops_gateway_replica_running", "Calls at a replica.", labels=["model", "replica"])
        if self.models is not None and self.admission is not None:
            for model in self.models.all:
                gate = self.admission.gates[model.name]
                running.add_metric([model.name], gate.running)
                waiting.add_metric([model.name], gate.queue.length)
                emergency.add_metric([model.name], float(model.in_emergency))
            for replica in self.models.replicas():
                state.add_metric([replica.model, replica.url], STATES[replica.breaker.state])
                draining.add_metric([replica.model, replica.url], float(replica.draining))
                at.add_metric([replica.model, replica.url], replica.running)
        return [running, waiting, emergency, state, draining, at]
