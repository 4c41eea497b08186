"""What Prometheus sees of answers: times to tokens and numbers of them, in vLLM's names and in OpenTelemetry's.

Answers from the cache are not among them: they say nothing of an engine (cache_metrics.py counts them).
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from wxruntime.gateway.exchange import Call, Route
from wxruntime.gateway.pipeline import Observer

# Upper bounds in seconds; OpenTelemetry's are those that its semantic conventions for generative AI name.
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
REQUEST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
OTEL_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
OTEL_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OTEL_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
OTEL_USAGE = tuple(4.0**power for power in range(14))
OPERATIONS: dict[Route, str] = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}
PROVIDER = "wxruntime"


class TokenMetrics(Observer):
    """client_label: whether tokens are also counted by client, for those who keep /metrics to themselves."""

    def __init__(self, registry: CollectorRegistry, *, client_label: bool = False) -> None:
        def seconds(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels or ("model_name",), buckets=bounds, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels or ("model_name",), registry=registry)

        self._first = seconds("vllm:time_to_first_token_seconds", "Arrival to first token.", REQUEST_SECONDS)
        self._next = seconds("vllm:inter_token_latency_seconds", "One piece of a stream to the next.", TOKEN_SECONDS)
        self._whole = seconds("vllm:e2e_request_latency_seconds", "Arrival to end.", REQUEST_SECONDS)
        self._queue = seconds("vllm:request_queue_time_seconds", "Waiting for a place here.", REQUEST_SECONDS)
        self._prompt = counter("vllm:prompt_tokens", "Prompt tokens that engines read.")
        self._generated = counter("vllm:generation_tokens", "Tokens that engines made.")
        operation = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
        self._duration = seconds(
            "gen_ai_server_request_duration_seconds", "Arrival to end.", OTEL_DURATION, *operation, "error_type"
        )
        self._otel_first = seconds(
            "gen_ai_server_time_to_first_token_seconds", "Arrival to first token.", OTEL_FIRST, *operation
        )
        self._otel_next = seconds(
            "gen_ai_server_time_per_output_token_seconds", "Each token after the first.", OTEL_TOKEN, *operation
        )
        self._usage = Histogram(
            "gen_ai_client_token_usage", "Tokens of one call.", [*operation, "gen_ai_token_type"],
            buckets=OTEL_USAGE, registry=registry,
        )  # fmt: skip
        self._by_client = (
            counter("wxops_gateway_client_tokens", "Tokens of a client.", "client", "model", "type")
            if client_label
            else None
        )
        self._of_model: dict[str, _Model] = {}

    def piece(self, call: Call, piece: bytes, now: float) -> None:
        if call.last_byte is not None:  # of the piece before
            self._model(call).next.observe(now - call.last_byte)

    def ended(self, call: Call) -> None:
        if call.cache == "HIT":
            return
        model = self._model(call)
        operation = OPERATIONS.get(call.route)
        assert call.ended is not None
        total, usage = call.ended - call.received, call.usage
        if operation is not None:
            about = (operation, PROVIDER, call.model)
            self._duration.labels(*about, call.error or "").observe(total)
        if call.outcome != "answered" and not usage.completion:
            return
        model.whole.observe(total)
        if call.admitted is not None:
            model.queue.observe(call.admitted - call.received)
        model.prompt.inc(usage.prompt)
        model.generated.inc(usage.completion)
        if self._by_client is not None:
            self._by_client.labels(call.guest.name, call.model, "input").inc(usage.prompt)
            self._by_client.labels(call.guest.name, call.model, "output").inc(usage.completion)
        if operation is None:
            return
        self._usage.labels(*about, "input").observe(usage.prompt)
        self._usage.labels(*about, "output").observe(usage.completion)
        if call.streaming and call.first_byte is not None and call.last_byte is not None:
            first = call.first_byte - call.received
            model.first.observe(first)
            self._otel_first.labels(*about).observe(first)
            if usage.completion > 1:
                rest = (call.last_byte - call.first_byte) / (usage.completion - 1)
                self._otel_next.labels(*about).observe(rest)

    def _model(self, call: Call) -> _Model:
        found = self._of_model.get(call.model)
        if found is None:
            made = (self._first, self._next, self._whole, self._queue, self._prompt, self._generated)
            found = self._of_model[call.model] = _Model(*(each.labels(call.model) for each in made))  # type: ignore[arg-type]
        return found


@dataclass(frozen=True, slots=True)
class _Model:
    """The metrics of one model: labels are looked up once."""

    first: Histogram
    next: Histogram
    whole: Histogram
    queue: Histogram
    prompt: Counter
    generated: Counter
