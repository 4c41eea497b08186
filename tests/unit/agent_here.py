"""The agent's own end of a link in this process: a test holds the other end, and may be silent, slow or gone."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from wxops.agent import wire
from wxops.agent.main import Link, Reader

ANSWER_S = 10


class AgentHere:
    """Reads frames as an agent on a host does. Its module files are those of this process."""

    def __init__(self, patience: float = 30, check: bool = True, verbose: bool = False, run: str = "r",
                 within: Sequence[str] = ()) -> None:  # fmt: skip
        to_agent, self._to_agent = os.pipe()
        self._from_agent, from_agent = os.pipe()
        reader = Reader(os.fdopen(to_agent, "rb"), Link(from_agent), lambda _: None)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (reader.read, reader.watch, self._serve)
        ]
        self.session = reader.session
        for thread in self._threads:
            thread.start()
        about = {"run": run, "within": list(within)}
        self.send(wire.CONFIGURE, run=run, host="here", about=about, check=check, verbose=verbose,
                  lock=not check, patience=patience)  # fmt: skip
        self.hello = json.loads(self.next(wire.HELLO))

    def send(self, kind: int, **value: Any) -> None:
        self.write(wire.pack_json(kind, value))

    def task(self, module: str, *items: dict[str, Any], **about: Any) -> None:
        self.send(wire.TASK, module=module, items=list(items), task="a task", **about)

    def write(self, data: bytes) -> None:
        os.write(self._to_agent, data)

    def next(self, *kinds: int) -> bytes:
        """The next frame's payload, of one of these types."""
        kind, payload = wire.read_frame(self._read)
        assert kind in kinds, (chr(kind), payload)
        return payload

    def result(self) -> dict[str, Any]:
        """The next result, whatever is said before it."""
        kind, payload = wire.read_frame(self._read)
        while kind != wire.RESULT:
            kind, payload = wire.read_frame(self._read)
        found: dict[str, Any] = json.loads(payload)["result"]
        return found

    def hang_up(self) -> None:
        """Both directions end, as with a controller that was killed."""
        for descriptor in {self._to_agent, self._from_agent} - {-1}:
            os.close(descriptor)
        self._to_agent = self._from_agent = -1

    def has_ended(self, seconds: float = ANSWER_S) -> bool:
        """Does its session come to an end, so that the host's lock is free?"""
        self._threads[-1].join(seconds)
        return not self._threads[-1].is_alive()

    def _serve(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.session.serve()

    def _read(self, size: int) -> bytes:
        data, deadline = b"", time.monotonic() + ANSWER_S
        while len(data) < size:
            assert select.select([self._from_agent], [], [], deadline - time.monotonic())[0], "it said nothing"
            part = os.read(self._from_agent, size - len(data))
            if not part:
                break
            data += part
        return data


@contextlib.contextmanager
def agent_here(**about: Any) -> Iterator[AgentHere]:
    agent = AgentHere(**about)
    try:
        yield agent
    finally:
        agent.hang_up()
        agent.has_ended()
