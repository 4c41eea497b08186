"""The loop that steps a backend: take what has come, step, tell what came of it.

It runs in a process of its own (`python -m wxruntime.engine.core FD`), or in a thread where a test wants to see inside.
A failure that a reset of the backend does not survive ends it: the server then exits, and whoever supervises it starts
a sound one.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from wxruntime import backends
from wxruntime.backends.base import Backend, Sequence
from wxruntime.checkpoint import CheckpointError
from wxruntime.engine.link import Admit, Broken, Drop, Dropped, Ended, Message, Ready, Start, Stepped, pack, received

log = logging.getLogger("wxruntime")


class Core:
    """One backend and the socket over which it is asked and answers."""

    def __init__(self, connection: socket.socket, load: Callable[[], Backend]) -> None:
        self._connection, self._load = connection, load
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._open: set[int] = set()  # ids that are neither finished nor dropped

    def deliver(self, message: Admit | Drop | None) -> None:
        """Called by the thread that reads the socket; None says that the server is gone."""
        self._inbox.put(message)

    def run(self) -> None:
        """Until the server is gone or the backend is."""
        try:
            backend = self._load()
            backend.prove()
        except Exception as error:
            self._end(error)
            return
        self._tell(Ready(backend.limits))
        try:
            while self._take(backend):
                if self._open:
                    self._advance(backend)
        except Exception as error:
            self._end(error)
        finally:
            backend.close()

    def _take(self, backend: Backend) -> bool:
        """Admit and drop what was asked; waits where there is nothing to step. False when the server is gone."""
        idle = not self._open
        messages = [self._inbox.get()] if idle else []
        with contextlib.suppress(queue.Empty):
            while True:
                messages.append(self._inbox.get_nowait())
        if idle and backend.gather_s and any(isinstance(message, Admit) for message in messages):
            messages += self._gather(backend, messages)
        if None in messages:
            return False
        admitted: list[Sequence] = []
        dropped: list[int] = []
        for message in messages:
            if isinstance(message, Admit):
                admitted += message.sequences
            else:
                dropped += message.ids
        gone = set(dropped)
        self._open = (self._open | {sequence.id for sequence in admitted}) - gone
        if dropped:
            backend.drop(dropped)
        if fresh := [sequence for sequence in admitted if sequence.id not in gone]:
            backend.admit(fresh)
        if dropped and not self._open:
            self._tell(Dropped(backend.usage()))
        return True

    def _gather(self, backend: Backend, first: list[Any]) -> list[Any]:
        """Others that come within a moment of the first, up to a full batch."""
        until = time.monotonic() + backend.gather_s
        count = sum(len(message.sequences) for message in first if isinstance(message, Admit))
        more: list[Any] = []
        with contextlib.suppress(queue.Empty):
            while count < backend.limits.max_sequences and (left := until - time.monotonic()) > 0:
                more.append(self._inbox.get(timeout=left))
                count += len(more[-1].sequences) if isinstance(more[-1], Admit) else 0
                if more[-1] is None:
                    break
        return more

    def _advance(self, backend: Backend) -> None:
        try:
            step = backend.step()
        except Exception:
            log.exception("a step failed; its answers are lost")
            lost, self._open = tuple(self._open), set()
            backend.reset()
            backend.prove()
            self._tell(Broken(lost, backend.usage()))
            return
        self._open.difference_update([id_ for id_, _ in step.finished])
        self._tell(Stepped(step, backend.usage(), time.monotonic()))

    def _end(self, error: Exception) -> None:
        refused = isinstance(error, CheckpointError)
        if not refused:
            log.error("the model cannot be used any more", exc_info=error)
        self._tell(Ended(str(error) or repr(error), refused))

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # the server is gone: the reading thread says so
            self._connection.sendall(pack(message))


def main() -> None:
    """A process of its own, with the socket as its only argument's file descriptor."""
    # Ctrl-C and a container's SIGTERM reach the whole group; the server says when to end, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    level = os.environ.get("WXRUNTIME_LOG", "info").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    connection = socket.socket(fileno=int(sys.argv[1]))
    messages = received(connection)
    start = next(messages)
    assert isinstance(start, Start)

    def load() -> Backend:
        backend = backends.load(start.backend, start.options)
        # What is here now stays to the end: to look through PyTorch's part for garbage stops the steps for 0.2 s.
        gc.collect()
        gc.freeze()
        return backend

    core = Core(connection, load)

    def read() -> None:
        with contextlib.suppress(OSError):
            for message in messages:
                core.deliver(message)
        os._exit(0)  # also out of a step that hangs, or a load that takes minutes

    threading.Thread(target=read, name="reader", daemon=True).start()
    core.run()


if __name__ == "__main__":
    main()
