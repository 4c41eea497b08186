"""What Prometheus sees at /metrics. Names and meanings are vLLM's where vLLM has the metric, so its dashboards work."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from wxruntime.backends.base import Usage
from wxruntime.engine.generation import Answer, FinishReason

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Upper bounds in seconds: from a tiny model on a CPU to the longest answer of a large one.
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
REQUEST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)

# vLLM says "abort" where a client left.
FINISHED_REASON: dict[FinishReason, str] = {"stop": "stop", "length": "length", "cancelled": "abort", "error": "error"}


class Histogram(Collector):
    """As prometheus_client's, but one call counts what several tokens of a step have in common."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], model_name: str) -> None:
        self._name, self._text, self._model_name = name, text, model_name
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=["model_name"])
        total, buckets = 0, []
        for bound, count in zip([*map(float, self._bounds), float("inf")], self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        family.add_metric([self._model_name], buckets, self._sum)
        yield family


class Metrics:
    """The metrics of one served model, in a registry of their own."""

    def __init__(self, model_name: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._model_name = model_name
        self.rejected = self._counter("wxruntime:requests_rejected", "Requests turned away: the queue was full.")
        self._prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens read.")
        self._cached_tokens = self._counter("vllm:prompt_tokens_cached", "Prompt tokens that the prefix cache had.")
        self._generation_tokens = self._counter("vllm:generation_tokens", "Tokens made.")
        self._prefix_queries = self._counter(
            "vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache."
        )
        self._prefix_hits = self._counter("vllm:prefix_cache_hits", "Prompt tokens found in the prefix cache.")
        self.usage = Usage()
        finished = Counter(
            "vllm:request_success",
            "Finished requests, by why they ended.",
            ["model_name", "finished_reason"],
            registry=self._registry,
        )
        self._finished = {reason: finished.labels(model_name, said) for reason, said in FINISHED_REASON.items()}
        made = self._histogram
        self._first_token = made("vllm:time_to_first_token_seconds", "Submission to first token.", REQUEST_SECONDS)
        self._next_token = made("vllm:inter_token_latency_seconds", "One token to the next.", TOKEN_SECONDS)
        self._per_token = made(
            "vllm:request_time_per_output_token_seconds", "Mean of an answer's tokens after the first.", TOKEN_SECONDS
        )
        self._queue = made("vllm:request_queue_time_seconds", "Waiting for a turn.", REQUEST_SECONDS)
        self._inference = made("vllm:request_inference_time_seconds", "Begin of the prompt to end.", REQUEST_SECONDS)
        self._prefill = made("vllm:request_prefill_time_seconds", "Reading the prompt.", REQUEST_SECONDS)
        self._decode = made("vllm:request_decode_time_seconds", "First token to last.", REQUEST_SECONDS)
        self._whole = made("vllm:e2e_request_latency_seconds", "Submission to end.", REQUEST_SECONDS)
        self._iteration = made("vllm:iteration_tokens_total", "Tokens that went through the model in a step.", TOKENS)

    def watch(self, *, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Gauges that ask the engine when they are read."""
        self._gauge("vllm:num_requests_running", "Requests being answered.").set_function(running)
        self._gauge("vllm:num_requests_waiting", "Requests waiting for their turn.").set_function(waiting)
        kv = self._gauge("vllm:kv_cache_usage_perc", "Share of the KV cache that is held; 1 is full.")
        kv.set_function(lambda: self.usage.kv_used)

    def first_token(self, seconds: float) -> None:
        """An answer's first token came, `seconds` after its submission."""
        self._first_token.observe(seconds)

    def stepped(self, made: int, processed: int, gaps: Mapping[float, int], usage: Usage) -> None:
        """A step made so many tokens of so many processed; `gaps`: the seconds since the ones before, and how often."""
        self._generation_tokens.inc(made)
        for seconds, times in gaps.items():
            self._next_token.observe(seconds, times)
        if processed:
            self._iteration.observe(processed)
        if usage.prefix_queries != self.usage.prefix_queries:
            self._prefix_queries.inc(usage.prefix_queries - self.usage.prefix_queries)
            self._prefix_hits.inc(usage.prefix_hits - self.usage.prefix_hits)
        self.usage = usage

    def finished(self, answer: Answer, reason: FinishReason) -> None:
        now = time.monotonic()
        self._finished[reason].inc()
        self._whole.observe(now - answer.submitted_at)
        if answer.started_at is None:
            return
        self._queue.observe(answer.started_at - answer.submitted_at)
        self._inference.observe(now - answer.started_at)
        if answer.first_token_at is None:
            return
        self._prompt_tokens.inc(answer.generation.prompt_tokens)
        self._cached_tokens.inc(answer.cached)
        self._prefill.observe(answer.first_token_at - answer.started_at)
        decode = answer.last_token_at - answer.first_token_at
        self._decode.observe(decode)
        if answer.completion_tokens > 1:
            self._per_token.observe(decode / (answer.completion_tokens - 1))

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["model_name"], registry=self._registry).labels(self._model_name)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["model_name"], registry=self._registry).labels(self._model_name)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, text, bounds, self._model_name)
        self._registry.register(histogram)
        return histogram
