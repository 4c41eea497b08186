"""Puts a server together from its settings and runs it until it is told to stop or its engine ends."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from wxruntime.backends.base import Load
from wxruntime.checkpoint import SERVED, CheckpointError, Weights, read_checkpoint
from wxruntime.engine.engine import Engine
from wxruntime.engine.link import Start
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.routes import Api
from wxruntime.engine.service import Service
from wxruntime.models.verify import Trust
from wxruntime.tokenizer import TextTokenizer

log = logging.getLogger("wxruntime")


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of `wxruntime engine`, as its help tells them."""

    backend: str
    load: Load
    served_model_name: tuple[str, ...]
    host: str
    port: int
    queue_size: int
    stall_seconds: float
    drain_seconds: int
    trust: Trust


def run(options: Options, make_engine: Callable[..., Engine] = Engine) -> None:
    """Serve until a signal. Raises CheckpointError when the checkpoint cannot be served or fails on the way.

    make_engine: called as Engine is; bench/ has engines that take notes.
    """
    # Huge files are compared for minutes, and until the server listens there is nothing to end in order. A container's
    # first process needs a handler: the system has no default for it, and it would go on until it is killed.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    weights: Weights = "onnx" if options.backend == "onnx" else "safetensors"
    checkpoint = read_checkpoint(options.load.model, options.trust, weights)
    own, asked = checkpoint.context_length, options.load.context_length
    if asked is not None and asked > own:
        raise CheckpointError(f"a context of {asked} tokens is longer than the model's own, {own}")
    tokenizer = TextTokenizer(checkpoint)
    names = options.served_model_name or (options.load.model.resolve().name,)
    log.info("%s: %s, as %s", options.load.model, SERVED[checkpoint.model_type], ", ".join(names))
    metrics = Metrics(names[0])

    def exit_soon() -> None:
        server.should_exit = True

    start = Start(options.backend, options.load)
    engine = make_engine(start, tokenizer.tokens, metrics, queue_size=options.queue_size, on_failure=exit_soon)
    metrics.watch(running=lambda: engine.progress().running, waiting=lambda: engine.progress().waiting)
    service = Service(engine, checkpoint, tokenizer, metrics, names, options.stall_seconds)
    server = uvicorn.Server(
        uvicorn.Config(
            Api(service).app(),
            host=options.host,
            port=options.port,
            access_log=False,
            proxy_headers=False,  # nobody asks for the client's address
            log_config=None,
            timeout_graceful_shutdown=options.drain_seconds,
        )
    )
    # uvicorn drains and then raises the signal again; a service that was told to stop and did has not failed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What is here now stays to the end: to look through it for garbage would stop all streams for tens of milliseconds.
    gc.collect()
    gc.freeze()
    server.run()
    if engine.failure is None:
        return
    if engine.failure.refused:
        raise CheckpointError(str(engine.failure))
    log.error("the model cannot be used any more: %s", engine.failure)
    sys.exit(1)
