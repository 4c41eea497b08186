"""What Prometheus sees of what stands before the engines: cache, prefixes, center. Read off only when it asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wxruntime.gateway.prefix import PIECE_CHARACTERS
from wxruntime.gateway.prefix_picker import PrefixPicker
from wxruntime.gateway.response_cache import ResponseCache

if TYPE_CHECKING:
    from wxruntime.gateway.edge import Edge


class CacheMetrics(Collector):
    """Of the cache, the picker and the line to the center that are in use now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.cache: ResponseCache | None = None
        self.picker: PrefixPicker | None = None
        self.edge: Edge | None = None
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        if self.cache is not None:
            yield from _answers(self.cache)
        if self.picker is not None:
            yield from _prefixes(self.picker)
        if self.edge is not None:
            yield from _edge(self.edge)


def _answers(cache: ResponseCache) -> Iterable[Metric]:
    results = CounterMetricFamily(
        "wxops_gateway_cache_requests",
        "Calls by what the cache had: hit, joined (asked by another client at that moment), miss or bypass.",
        labels=["model", "result"],
    )
    for (model, result), count in cache.results.items():
        results.add_metric([model, result], count)
    saved = CounterMetricFamily(
        "wxops_gateway_cache_saved_tokens",
        "Tokens of answers that no engine had to make again.",
        labels=["model", "type"],
    )
    for (model, kind), count in cache.saved_tokens.items():
        saved.add_metric([model, kind], count)
    memory = cache.memory
    yield from (results, saved)
    yield _gauge("wxops_gateway_cache_bytes", "Memory that answers take, those being recorded included.", memory.used)
    yield _gauge("wxops_gateway_cache_limit_bytes", "Memory that answers may take.", memory.limit)
    yield _gauge("wxops_gateway_cache_entries", "Answers that are kept.", len(memory))
    yield _counter("wxops_gateway_cache_evictions", "Answers dropped to make room.", memory.evictions)
    if cache.shared is not None:
        failures = cache.shared.failures
        yield _counter("wxops_gateway_cache_shared_failures", "Times that the shared cache did not answer.", failures)


def _prefixes(picker: PrefixPicker) -> Iterable[Metric]:
    asked, found = picker.asked * PIECE_CHARACTERS, picker.found * PIECE_CHARACTERS
    yield _counter("wxops_gateway_prefix_characters", "Characters of prompts that were routed.", asked)
    yield _counter("wxops_gateway_prefix_found_characters", "Those that the replica was known to hold.", found)
    text = "Calls that went elsewhere because the replica that holds their prefix had too many."
    yield _counter("wxops_gateway_prefix_spilled", text, picker.spilled)
    held = GaugeMetricFamily(
        "wxops_gateway_prefix_held_characters", "Characters that a replica is taken to hold.", labels=["replica"]
    )
    for replica, pieces in picker.router.pieces.items():
        held.add_metric([replica], pieces * PIECE_CHARACTERS)
    yield held


def _edge(edge: Edge) -> Iterable[Metric]:
    calls = CounterMetricFamily(
        "wxops_gateway_edge_calls",
        "Calls by who answered (edge, center, or the edge alone because the center could not) and why it was asked.",
        labels=["answered", "reason"],
    )
    for (answered, reason), count in edge.answered.items():
        calls.add_metric([answered, reason], count)
    yield calls
    yield _gauge(
        "wxops_gateway_center_up", "0 while the center is not asked because it did not answer.", edge.center.up
    )
    yield _counter("wxops_gateway_edge_unsure", "Answers of the small model that were dropped as unsure.", edge.unsure)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
