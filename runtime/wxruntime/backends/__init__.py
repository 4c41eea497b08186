"""What makes the tokens: a backend for each library that can run an ERNIE 4.5, imported when it is asked for."""

from __future__ import annotations

import logging
from importlib import import_module

from wxruntime.backends.base import Backend, Load

log = logging.getLogger("wxruntime")

# Name on the command line: the module whose `load(options)` gives the backend.
BACKENDS = {
    "transformers": "wxruntime.backends.transformers",
    "paged": "wxruntime.backends.paged",
    "onnx": "wxruntime.backends.onnx",
}


def load(name: str, options: Load) -> Backend:
    """The backend called `name` with its weights in memory; raises CheckpointError when that cannot be.

    "auto" is paged or transformers, as model and machine are.
    """
    if name == "auto":
        name, why = import_module("wxruntime.backends.auto").pick(options)
        log.info("backend: %s, since %s", name, why)
    backend: Backend = import_module(BACKENDS[name]).load(options)
    return backend
