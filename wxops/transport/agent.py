"""The controller's end of an agent: tasks go in, results come out, content and sockets travel beside them."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxops.agent import wire
from wxops.errors import HostUnreachable
from wxops.transport import bootstrap, package
from wxops.transport.contents import Arrival, Contents, Offers
from wxops.transport.handshake import shake_hands
from wxops.transport.messages import task_messages, too_large
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.pipe import LocalPipe, Pipe, SSHPipe
from wxops.transport.ssh import SSHSession
from wxops.transport.tunnel import UnixSocket

MISSED_PINGS = 3
LAST_WORDS_S = 0.2
"""How long what a dying agent says may take to arrive after its end."""
KEPT_WORDS = 2048
Output = Callable[[int, str], None]


@dataclass(frozen=True)
class RunIdentity:
    """The run that an agent serves: its id, and what stands in the host's journal and lock about it."""

    run: str
    about: Mapping[str, Any] = field(default_factory=dict)
    check: bool = False
    verbose: bool = False


@dataclass
class Traffic:
    """What went over one link. bursts: times we spoke after the host had (network round trips)."""

    sent: int = 0
    received: int = 0
    bursts: int = 0


class Agent:
    """An agent that runs on one host under one user."""

    def __init__(self, options: ConnectionOptions, become: Become | None, identity: RunIdentity) -> None:
        """Connect and start it. Raises HostUnreachable."""
        self.options = options
        self.traffic = Traffic()
        self._offers = Offers(kept=identity.check)
        self._sent_files: set[str] = set()
        self._sockets: dict[int, UnixSocket] = {}
        self._ids = itertools.count(1)
        self._writing = threading.Lock()
        self._frames: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._lost: HostUnreachable | None = None
        self._heard = True
        self._written, self._spoke, self._asking = 0, time.monotonic(), False
        self._arrival: Arrival | None = None
        self._said = b""
        self._pipe = _start(options, become)
        try:
            self._begin(become, identity)
        except BaseException:
            self.close()
            raise

    def _begin(self, become: Become | None, identity: RunIdentity) -> None:
        options = self.options
        greeting = shake_hands(self._pipe, options, become)
        self.banner, self._buffer, self._said = greeting.banner, bytearray(greeting.rest), greeting.error
        self._compiled = package.same_python(greeting.magic)
        configure = wire.pack_json(wire.CONFIGURE, {
            "run": identity.run, "host": options.name, "about": dict(identity.about), "check": identity.check,
            "verbose": identity.verbose, "lock": not identity.check,
            "patience": options.keepalive * (MISSED_PINGS + 1)})  # fmt: skip
        try:
            self._write(bootstrap.payload(self._compiled) + configure)
            threading.Thread(target=self._read, name=f"link to {options.name}", daemon=True).start()
            self.hello: dict[str, Any] = json.loads(self._next(wire.HELLO)[1])
        except HostUnreachable as error:
            raise self._died(error) from None

    def _died(self, error: HostUnreachable) -> HostUnreachable:
        """An agent that never answered, in its own words: so early no task's secret can be among them."""
        self._hear_last_words()
        said = self._said.decode("utf-8", "replace").strip()
        return HostUnreachable(f"the agent did not start ({error.what}); the host said: {said[-500:] or 'nothing'}")

    def run(self, module: str, items: list[dict[str, Any]], *, output: Output | None = None,
            offers: Contents | None = None, **task: Any) -> Iterator[tuple[int, dict[str, Any]]]:  # fmt: skip
        """Run a module for each item of arguments; yields (index, result) as they come.

        offers: content that the agent may ask for meanwhile, by name.
        An error on this side (no room for content that comes) closes the link, where the rest of the answers still is.
        """
        try:
            with self._offers.of_task(offers or {}):
                yield from self._run(module, items, output, task)
        except Exception:  # not Ctrl-C: the agent is to be told of that one
            self.close()
            raise

    def _run(self, module: str, items: list[dict[str, Any]], output: Output | None,
             task: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:  # fmt: skip
        for first, frame in task_messages(module, items, task):
            refusal = too_large(frame)
            if refusal is not None:
                yield first, refusal
                continue
            self._write(self._files_for(module, "async" in task) + frame)
            for index, result in self._answers(output):
                yield first + index, result

    def _files_for(self, module: str, as_job: bool) -> bytes:
        """What the agent lacks for a module, in a frame; nothing when it has it all."""
        jobs = package.module_files("async_status") if as_job else frozenset()
        needed = package.module_files(module) | jobs
        missing = needed - self._sent_files
        self._sent_files |= missing
        name = "" if as_job or missing != needed else module  # a run that did something else before asks for less
        return wire.pack(wire.MODULE, package.pack(missing, self._compiled, name)) if missing else b""

    def _answers(self, output: Output | None) -> Iterator[tuple[int, dict[str, Any]]]:
        """What comes back for one message."""
        while True:
            kind, payload = self._next(wire.RESULT, wire.DONE, wire.NEED, wire.DATA, wire.OUTPUT)
            if kind == wire.DONE:
                return
            if kind == wire.RESULT:
                answer = json.loads(payload)
                yield answer["item"], answer["result"]
            elif kind == wire.NEED:
                self._send_content(payload)
            elif kind == wire.DATA:
                self._receive(payload)
            elif output is not None:
                output(payload[0], payload[1:].decode("utf-8", "replace"))

    def receive_at(self, path: Path) -> None:
        """Where the next content that the agent sends is written."""
        self._arrival = Arrival(path)

    def settle(self, void: Sequence[int] = (), hide: Sequence[int] = (), **more: Any) -> None:
        """Tell the journal which commands the playbook judged to be no change, and which steps hold a secret.

        more: `note`, handlers that the host is owed, and `owed`, those that it is owed no longer (agent/owed.py).
        """
        self._write(wire.pack_json(wire.SETTLE, {"void": list(void), "hide": list(hide), **more}))

    def open_socket(self, path: str) -> UnixSocket:
        """A UNIX socket of the host, through this link."""
        stream = next(self._ids)
        prefix = wire.STREAM_ID.pack(stream)
        connection = UnixSocket(stream, lambda kind, data: self._write(wire.pack(kind, prefix + data)))
        self._sockets[stream] = connection
        self._write(wire.pack(wire.OPEN, prefix + path.encode()))
        return connection

    def cancel(self) -> None:
        """Ask the agent to change nothing more and to end a running command."""
        with contextlib.suppress(HostUnreachable):
            self._write(wire.pack(wire.CANCEL))

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    def close(self) -> None:
        self._lost = self._lost or HostUnreachable("the connection was closed")
        self._pipe.close()

    def _write(self, data: bytes | memoryview) -> None:
        if self._lost is not None:
            raise self._lost
        try:
            with self._writing:
                self.traffic.sent += len(data)
                self.traffic.bursts += self._heard
                self._heard = False
                rest = memoryview(data)
                while rest:  # each part is news for who wonders whether the host lives
                    rest = rest[self._pipe.write_some(rest) :]
                    self._written, self._spoke = self._written + 1, time.monotonic()
        except (OSError, EOFError):
            raise self._lost or self._gone("the connection broke") from None

    def _next(self, *kinds: int) -> tuple[int, bytes]:
        """The next frame for the task at hand. Raises HostUnreachable when the link is lost."""
        kind, payload = self._frames.get()
        if kind not in kinds:
            raise self._lost or self._gone(f"it sent a frame of type {kind} that was not expected")
        return kind, payload

    def _read(self) -> None:
        """The reader thread: frames for tasks into the queue, streams to their sockets."""
        try:
            while True:
                kind, payload = wire.read_frame(self._exactly)
                if kind in (wire.STREAM, wire.CLOSE):
                    self._feed(kind, payload)
                elif kind != wire.PONG:
                    self._frames.put((kind, payload))
        except HostUnreachable as error:
            self._lost = self._lost or error
        except (wire.WireError, OSError, EOFError, ValueError):
            self._lost = self._lost or self._gone("the connection or the agent ended")
        self._hear_last_words()
        for connection in list(self._sockets.values()):
            connection.ended("the connection to the host is lost")
        self._frames.put((0, b""))
        self._pipe.close()  # who waits for room in it would wait for ever

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self) -> bytes:
        """The next bytes; asks a silent host whether it lives, and gives up after MISSED_PINGS without an answer.

        A host that takes what we write is alive: during a long upload PING stands in a queue. One that never stops
        talking is asked too, since it must hear of us.
        """
        missed = written = 0
        while True:
            data = self._pipe.read()
            if data:
                self.traffic.received += len(data)
                self._heard = True
                if time.monotonic() - self._spoke >= self.options.keepalive:
                    self._ask()
                return data
            if data == b"":
                raise wire.EndOfStream("the link ended")
            self._listen()
            if not self._pipe.wait(self.options.keepalive):
                if written != self._written:
                    missed, written = 0, self._written
                if missed == MISSED_PINGS:
                    silent = time.strftime("%H:%M:%S")
                    raise self._gone(f"no sign of life for {self.options.keepalive * (missed + 1):g} s (at {silent})")
                missed += 1
                self._ask()

    def _listen(self) -> None:
        """Standard error, of which the end is kept: unread, it would fill the channel's window."""
        while said := self._pipe.read_error():
            self._said = (self._said + said)[-KEPT_WORDS:]

    def _hear_last_words(self) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):  # closed by now
            if self._pipe.wait(LAST_WORDS_S):
                self._listen()

    def _ask(self) -> None:
        """PING, unless one is still on its way; a full channel must not block the reader."""
        if not self._asking:
            self._asking = True
            threading.Thread(target=self._ping, daemon=True).start()

    def _ping(self) -> None:
        with contextlib.suppress(OSError, EOFError), self._writing:
            self._pipe.write(wire.pack(wire.PING))
            self._spoke = time.monotonic()
        self._asking = False

    def _gone(self, why: str) -> HostUnreachable:
        return HostUnreachable(
            f"lost: {why}", fix="what was done so far stands in the host's journal: run again, or roll back"
        )

    def _feed(self, kind: int, payload: bytes) -> None:
        (stream,) = wire.STREAM_ID.unpack(payload[: wire.STREAM_ID.size])
        connection, rest = self._sockets.get(stream), payload[wire.STREAM_ID.size :]
        if connection is None:
            return
        if kind == wire.CLOSE:
            self._sockets.pop(stream, None)
            connection.ended(rest.decode("utf-8", "replace"))
        else:
            connection.feed(rest)

    def _send_content(self, asked: bytes) -> None:
        content = self._offers.asked(asked)
        if content is None:
            raise self._gone("it asked for content that was not offered")
        for frame in content:
            self._write(frame)

    def _receive(self, chunk: bytes) -> None:
        if self._arrival is None:
            raise self._gone("it sent content that nobody asked for")
        if self._arrival.take(chunk):
            self._arrival = None


def _start(options: ConnectionOptions, become: Become | None) -> Pipe:
    """Start the bootstrap on the host."""
    command = bootstrap.command_line(options.interpreters, become)
    if options.connection == "local":
        return LocalPipe(shlex.split(command))
    session = SSHSession(options)
    try:
        return SSHPipe(session, command)
    except BaseException:
        session.close()
        raise
