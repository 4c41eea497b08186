"""All connections of one listening address: how many there are, their deadlines, their end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from email.utils import formatdate

from wxruntime.gateway import config
from wxruntime.gateway.connection import Connection
from wxruntime.gateway.exchange import Refusal
from wxruntime.gateway.request import Handler


class CannotListen(Exception):
    """An address that is not to be had."""


def bound(address: str, port: int) -> socket.socket:
    """A socket that listens there; on :: for IPv4 as well, where the system can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, port), family=family, backlog=4096, dualstack_ipv6=both)
    except OSError as error:
        reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
        raise CannotListen(f"cannot listen on {address} port {port}: {reason}") from None


class Listener:
    """All connections of one listening address."""

    def __init__(
        self, handler: Handler, limits: config.Requests, loop: asyncio.AbstractEventLoop, *, probes: bool = False
    ) -> None:
        """With `probes`, it is for health checks and metrics alone."""
        self.handler, self.limits, self.loop, self.probes = handler, limits, loop, probes
        self.connections: set[Connection] = set()
        self.draining = False
        self.date = b""
        self.tick()

    def connect(self) -> Connection:
        return Connection(self)

    def opened(self, connection: Connection) -> bool:
        if len(self.connections) >= self.limits.connections:
            self.handler.refused(None, Refusal(503, "connections", "too many connections"), connection.peer)
            return False
        self.connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def tick(self) -> None:
        """Once a second: the date, and deadlines."""
        self.date = formatdate(usegmt=True).encode()
        now = time.monotonic()
        for connection in list(self.connections):
            connection.sweep(now)

    def drain(self) -> None:
        """Connections end as soon as they have their answers, also to what has begun to come."""
        self.draining = True
        for connection in list(self.connections):
            if not connection.reading:
                connection.close_when_idle()

    @property
    def answering(self) -> int:
        return sum(connection.busy or connection.reading for connection in self.connections)
