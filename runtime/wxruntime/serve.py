"""Puts a server together from its settings and runs it until it is told to stop or its engine ends."""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from wxruntime.checkpoint import SERVED, CheckpointError, read_checkpoint
from wxruntime.engine import Engine
from wxruntime.metrics import Metrics
from wxruntime.model import Device, DType, Ernie
from wxruntime.server import Api, Service

log = logging.getLogger("wxruntime")


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of `wxruntime engine`, as its help tells them."""

    model: Path
    served_model_name: tuple[str, ...]
    host: str
    port: int
    device: Device
    dtype: DType
    queue_size: int
    stall_seconds: float
    drain_seconds: int


def run(options: Options) -> None:
    """Serve until a signal. Raises CheckpointError when the checkpoint cannot be served or fails on the way."""
    checkpoint = read_checkpoint(options.model)
    names = options.served_model_name or (options.model.resolve().name,)
    log.info("%s: %s, as %s", options.model, SERVED[checkpoint.model_type], ", ".join(names))
    metrics = Metrics(names[0])

    def exit_soon() -> None:
        server.should_exit = True

    engine = Engine(
        lambda: Ernie(checkpoint, options.device, options.dtype),
        checkpoint.stop_tokens,
        metrics,
        queue_size=options.queue_size,
        on_failure=exit_soon,
    )
    metrics.watch(running=lambda: engine.progress().running, waiting=lambda: engine.progress().waiting)
    service = Service(engine, checkpoint, metrics, names, options.stall_seconds)
    server = uvicorn.Server(
        uvicorn.Config(
            Api(service).app(),
            host=options.host,
            port=options.port,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=options.drain_seconds,
        )
    )
    # uvicorn drains and then raises the signal again; a service that was told to stop and did has not failed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.run()
    if isinstance(engine.failure, CheckpointError):
        raise engine.failure
    if engine.failure is not None:
        log.error("the model cannot be used any more", exc_info=engine.failure)
        sys.exit(1)
