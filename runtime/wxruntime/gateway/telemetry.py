"""All that watches a gateway, put together from its configuration: metrics of tokens and engines, logs, audit, traces.

What is watched is settled at the start; a reload does not change it.
"""

from __future__ import annotations

import logging

from prometheus_client import Gauge

from wxruntime.gateway import config
from wxruntime.gateway.app import Gateway
from wxruntime.gateway.audit_log import AuditLog
from wxruntime.gateway.call_log import CallLog
from wxruntime.gateway.engine_load import EngineLoad
from wxruntime.gateway.prefix_picker import PrefixPicker
from wxruntime.gateway.replica import Replica
from wxruntime.gateway.token_metrics import TokenMetrics
from wxruntime.gateway.tracing import Tracing


class Telemetry:
    """Added to a gateway's observers."""

    def __init__(self, settings: config.Config, gateway: Gateway) -> None:
        self._gateway = gateway
        registry, observers = gateway.metrics.registry, gateway.observers.all
        observers.append(TokenMetrics(registry, client_label=settings.metrics.client_label))
        self._engines = EngineLoad(registry, self._replicas, settings.metrics.engine_seconds, self._restarted)
        if settings.log.calls:
            observers.append(CallLog())
        if settings.log.format == "text":
            for handler in logging.getLogger().handlers:
                handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._audit: AuditLog | None = None
        if settings.audit is not None:
            self._audit = AuditLog(settings.audit.file, settings.audit.sync)
            observers.append(self._audit)
            lost = Gauge("wxops_gateway_audit_lost_lines", "Lines that could not be written.", registry=registry)
            lost.set_function(self._audit.lost_lines)
        self._tracing: Tracing | None = None
        if settings.tracing is not None:
            self._tracing = Tracing(settings.tracing)
            observers.append(self._tracing)

    def start(self) -> None:
        self._engines.start()

    def close(self) -> None:
        """Write and send what waits."""
        self._engines.stop()
        if self._audit is not None:
            self._audit.close()
        if self._tracing is not None:
            self._tracing.close()

    def _replicas(self) -> list[Replica]:
        models = self._gateway.models
        return list(models.replicas()) if models is not None else []

    def _restarted(self, url: str) -> None:
        if isinstance(self._gateway.picker, PrefixPicker):
            self._gateway.picker.router.forget(url)
