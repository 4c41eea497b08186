"""Spans of calls, sent by OTLP where the configuration says so. Else a client's traceparent is passed on as it is.

Attributes are those of OpenTelemetry's semantic conventions for generative AI; no prompt and no answer is among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wxruntime.gateway import config
from wxruntime.gateway.exchange import Call
from wxruntime.gateway.pipeline import Observer
from wxruntime.gateway.token_metrics import OPERATIONS, PROVIDER

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

CONTEXT = (b"traceparent", b"tracestate")  # W3C Trace Context


class Tracing(Observer):
    """A server span for each call; engines get its context as their parent."""

    def __init__(self, settings: config.Tracing, exporter: SpanExporter | None = None) -> None:
        from opentelemetry.propagators.textmap import DefaultGetter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=settings.otlp.rstrip("/") + "/v1/traces")
        resource = Resource.create({"service.name": settings.service})
        self._provider = TracerProvider(ParentBased(TraceIdRatioBased(settings.sample)), resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("wxruntime.gateway")
        self._propagator = TraceContextTextMapPropagator()
        self._getter = DefaultGetter()
        self._spans: dict[Call, Span] = {}

    def arrived(self, call: Call) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        carrier = {name.decode(): value.decode("latin-1") for name, value in call.headers if name in CONTEXT}
        operation = OPERATIONS.get(call.route, call.route)
        span = self._tracer.start_span(
            f"{operation} {call.model}",
            context=self._propagator.extract(carrier, getter=self._getter),
            kind=SpanKind.SERVER,
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": call.model,
                "wxops.request.id": call.id,
            },
        )
        self._spans[call] = span
        told: dict[str, str] = {}
        self._propagator.inject(told, set_span_in_context(span))
        kept = [each for each in call.headers if each[0] not in CONTEXT]
        call.headers = kept + [(name.encode(), value.encode()) for name, value in told.items()]

    def ended(self, call: Call) -> None:
        from opentelemetry.trace import Status, StatusCode

        span = self._spans.pop(call, None)
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(_attributes(call))
            if call.outcome in ("error", "broken"):
                span.set_status(Status(StatusCode.ERROR, call.error))
        span.end()

    def close(self) -> None:
        """Send what waits; gives up after a few seconds."""
        self._provider.shutdown()


def _attributes(call: Call) -> dict[str, str | int | float | bool]:
    told: dict[str, str | int | float | bool | None] = {
        "http.response.status_code": call.status,
        "gen_ai.usage.input_tokens": call.usage.prompt,
        "gen_ai.usage.output_tokens": call.usage.completion,
        "error.type": call.error,
        "wxops.client": call.guest.name,
        "wxops.cache": call.cache,
        "wxops.engine": call.engine,
        "wxops.attempts": call.attempts,
    }
    if call.replica is not None:
        address = urlsplit(call.replica)
        told |= {"server.address": address.hostname, "server.port": address.port}
    if call.admitted is not None:
        told["wxops.queue_seconds"] = call.admitted - call.received
    if call.first_byte is not None:
        told["gen_ai.server.time_to_first_token"] = call.first_byte - call.received
    return {name: value for name, value in told.items() if value is not None}
