"""What Prometheus sees at /metrics. Names and meanings are vLLM's where vLLM has the metric, so its dashboards work."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from wxruntime.generation import FinishReason, Generation

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Upper bounds in seconds: from a tiny model on a CPU to the longest answer of a large one.
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
REQUEST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)

# vLLM says "abort" where a client left.
FINISHED_REASON: dict[FinishReason, str] = {"stop": "stop", "length": "length", "cancelled": "abort", "error": "error"}


class Metrics:
    """The metrics of one served model, in a registry of their own."""

    def __init__(self, model_name: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._model_name = model_name
        self.rejected = self._counter("wxruntime:requests_rejected", "Requests turned away: the queue was full.")
        self._prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens read.")
        self._generation_tokens = self._counter("vllm:generation_tokens", "Tokens made.")
        finished = Counter(
            "vllm:request_success",
            "Finished requests, by why they ended.",
            ["model_name", "finished_reason"],
            registry=self._registry,
        )
        self._finished = {reason: finished.labels(model_name, said) for reason, said in FINISHED_REASON.items()}
        seconds = self._histogram
        self._first_token = seconds("vllm:time_to_first_token_seconds", "Submission to first token.", REQUEST_SECONDS)
        self._next_token = seconds("vllm:inter_token_latency_seconds", "One token to the next.", TOKEN_SECONDS)
        self._queue = seconds("vllm:request_queue_time_seconds", "Waiting for a turn.", REQUEST_SECONDS)
        self._prefill = seconds("vllm:request_prefill_time_seconds", "Reading the prompt.", REQUEST_SECONDS)
        self._decode = seconds("vllm:request_decode_time_seconds", "First token to last.", REQUEST_SECONDS)
        self._whole = seconds("vllm:e2e_request_latency_seconds", "Submission to end.", REQUEST_SECONDS)

    def watch(self, *, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Gauges that ask the engine when they are read."""
        self._gauge("vllm:num_requests_running", "Requests being answered.").set_function(running)
        self._gauge("vllm:num_requests_waiting", "Requests waiting for their turn.").set_function(waiting)

    def token(self, seconds: float, *, first: bool) -> None:
        """A token was made, `seconds` after the one before, or after submission."""
        self._generation_tokens.inc()
        (self._first_token if first else self._next_token).observe(seconds)

    def finished(self, generation: Generation, reason: FinishReason) -> None:
        now = time.monotonic()
        self._finished[reason].inc()
        self._whole.observe(now - generation.submitted_at)
        if generation.started_at is None:
            return
        self._queue.observe(generation.started_at - generation.submitted_at)
        if generation.first_token_at is None:
            return
        self._prompt_tokens.inc(len(generation.prompt))
        self._prefill.observe(generation.first_token_at - generation.started_at)
        self._decode.observe(now - generation.first_token_at)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["model_name"], registry=self._registry).labels(self._model_name)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["model_name"], registry=self._registry).labels(self._model_name)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, ["model_name"], registry=self._registry, buckets=buckets).labels(self._model_name)
