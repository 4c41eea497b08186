"""Runs the gateway: sockets, signals, reloads, the drain at the end."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from wxruntime.document import DocumentError
from wxruntime.gateway import admin_socket, config, config_file, files, roster, roster_file, tls
from wxruntime.gateway.admin import Admin
from wxruntime.gateway.allowlist import Peer
from wxruntime.gateway.app import Gateway
from wxruntime.gateway.exchange import Refusal
from wxruntime.gateway.health import LATE_LOOP_SECONDS
from wxruntime.gateway.listener import Listener, bound
from wxruntime.gateway.logs import Log, say, set_up
from wxruntime.gateway.roster import Rosters
from wxruntime.gateway.roster_file import RosterFileError
from wxruntime.gateway.telemetry import Telemetry

if TYPE_CHECKING:
    from wxruntime.gateway.center import Center


class UnfitRoster(Exception):
    """Changes of replicas that cannot hold over the file; the message says why."""


class Server:
    """A gateway with its sockets open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.written = config_file.read(path)
        self.rosters = Rosters()
        self.settings = self.written
        self.gateway = Gateway(self.settings, [Log()])
        self.telemetry = Telemetry(self.settings, self.gateway)
        self.center: Center | None = None
        self._loop = asyncio.get_running_loop()
        self._listeners: list[tuple[Listener, socket.socket, bool]] = []
        self._servers: list[asyncio.Server] = []
        self._admin: Listener | None = None
        self._admin_server: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._asked_to_reload = asyncio.Event()
        self._stamps = self._seen()
        self.changing = asyncio.Lock()

    async def start(self) -> None:
        listen = self.settings.listen
        self._listen(listen.address, listen.port, secure=listen.tls is not None)
        if listen.probes is not None:
            self._listen(listen.probes.address, listen.probes.port, secure=False, probes=True)
        await self._serve()
        self.telemetry.start()
        if listen.admin is not None:
            await self._serve_admin(listen.admin)
        if self.settings.center is not None:
            from wxruntime.gateway.center import Center

            self.center = Center(self.settings.center, self.settings.requests, self.gateway)
            await self.center.start()
            say("serving edges", address=f"{self.settings.center.address}:{self.center.port}")
        for _, sock, secure in self._listeners:
            host, port = sock.getsockname()[:2]
            say("listening", address=f"{'https' if secure else 'http'}://{host}:{port}")
        if listen.admin is not None:
            say("listening for operators", socket=str(listen.admin.socket))

    def _listen(self, address: str, port: int, *, secure: bool, probes: bool = False) -> None:
        sock = bound(address, port)
        listener = Listener(self.gateway, self.settings.requests, self._loop, probes=probes)
        self._listeners.append((listener, sock, secure))

    async def _serve_admin(self, settings: config.Admin) -> None:
        """Take up what was changed before a restart, and let more be changed."""
        if settings.state is not None:
            try:
                kept = roster_file.read(settings.state)
                self._judge(kept, self.written)
            except (RosterFileError, UnfitRoster) as error:
                self.gateway.observers.reloaded("replicas", str(error))
            else:
                await self._hold(kept)
        sock = admin_socket.bound(settings)
        self._admin = Listener(Admin(self), self.settings.requests, self._loop)
        self._admin_server = await self._loop.create_unix_server(self._admin.connect, sock=sock)

    def _judge(self, rosters: Rosters, written: config.Config) -> None:
        """Raises UnfitRoster where a key or certificate of what operators changed cannot be read any more."""
        held = rosters.holding(written)
        if held.models and (faults := config_file.faults_of_engines(held.over(written))):
            raise UnfitRoster(f"replicas as operators changed them: {'; '.join(faults)}")

    async def _serve(self) -> None:
        """Accept on the sockets, under the TLS settings as they are now. Connections made before go on."""
        context = None
        if self.settings.listen.tls is not None:
            context = tls.server_context(self.settings.listen.tls)
            tls.watch_handshakes(context, self._handshake_failed)
        before, self._servers = self._servers, []
        for listener, sock, secure in self._listeners:
            self._servers.append(
                await self._loop.create_server(
                    listener.connect,
                    sock=sock.dup(),
                    ssl=context if secure else None,
                    ssl_handshake_timeout=self.settings.requests.header_seconds if secure else None,
                    backlog=4096,
                )
            )
        for server in before:
            server.close()

    def _handshake_failed(self, reason: str) -> None:
        self.gateway.refused(None, Refusal(403, "tls", reason), Peer(""))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let what is under way end."""
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._loop.add_signal_handler(signal.SIGINT, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload.set)
        beats = 0
        while not self._stopping.is_set():
            self.gateway.tick()
            beats += 1
            if beats % 4 == 0:
                for listener in self._all_listeners():
                    listener.tick()
            # Here alone: two reloads at once would leave a listener with the certificate of the older one.
            if self._asked_to_reload.is_set() or (beats % 4 == 0 and self._seen() != self._stamps):
                self._asked_to_reload.clear()
                await self.reload()
            await asyncio.sleep(LATE_LOOP_SECONDS)
        await self._drain()

    def _stop(self) -> None:
        if self._stopping.is_set():
            say("second signal, ending now", level=logging.WARNING)
            for listener, _, _ in self._listeners:
                for connection in list(listener.connections):
                    connection.abort()
        self._stopping.set()

    async def _drain(self) -> None:
        say("draining", seconds=self.settings.drain_seconds)
        self.gateway.draining = True
        self._listeners[0][0].drain()
        end = self._loop.time() + self.settings.drain_seconds
        while self._loop.time() < end and self._answering():
            self.gateway.tick()
            await asyncio.sleep(0.05)
        for server in self._servers:
            server.close()
        if self._admin_server is not None and self.settings.listen.admin is not None:
            self._admin_server.close()
            admin_socket.unlink(self.settings.listen.admin.socket)
        for listener in self._all_listeners():
            for connection in list(listener.connections):
                connection.end_now()
        if self.center is not None:
            await self.center.close()
        self.gateway.health.close()
        await asyncio.sleep(0.1)  # what was said last goes out
        await self.gateway.close()
        await asyncio.to_thread(self.telemetry.close)

    def _all_listeners(self) -> list[Listener]:
        admin = [self._admin] if self._admin is not None else []
        return [*(listener for listener, _, _ in self._listeners), *admin]

    def _answering(self) -> int:
        """Calls that are under way."""
        edges = self.center.answering if self.center is not None else 0
        return edges + sum(listener.answering for listener, _, _ in self._listeners)

    async def reload(self) -> None:
        """Read configuration, allowlist and certificates again. What is broken changes nothing and is told."""
        before = self._stamps = self._seen()
        try:
            async with self.changing:
                await self._take_up(config_file.read(self._path))
        except (
            DocumentError,
            UnfitRoster,
            tls.TLSError,
            OSError,
            ValueError,
        ) as error:  # all but the first two: changed while it is read
            self.gateway.observers.reloaded("config", str(error))
            return
        self._stamps = {file: before.get(file, now) for file, now in self._seen().items()}
        self.gateway.observers.reloaded("config", None)

    async def _take_up(self, settings: config.Config) -> None:
        if _bound(settings) != _bound(self.settings):
            say(
                "address, port, probes, admin, whether there is TLS, center, metrics, log, audit and tracing change "
                "with the next start",
                level=logging.WARNING,
            )
            settings = settings.model_copy(update={"listen": self.settings.listen, "center": self.settings.center})
        self._judge(self.rosters, settings)
        self.written = settings
        for listener in self._all_listeners():
            listener.limits = settings.requests
        await self._hold(self.rosters)
        if settings.listen.tls is not None:
            await self._serve()
            self._part_with_strangers(settings.listen.tls)
        if self.center is not None:
            self.center.reload(settings.requests)

    async def take_up(self, rosters: Rosters) -> None:
        """What an operator has changed. Raises RosterFileError, and nothing has changed."""
        await self._keep(rosters)
        before = self._stamps
        await self._hold(rosters)
        self._stamps = {file: before.get(file, now) for file, now in self._seen().items()}

    async def _keep(self, rosters: Rosters) -> None:
        """In a thread: a slow disk holds no call up. Raises RosterFileError."""
        admin = self.settings.listen.admin
        if admin is not None and admin.state is not None:
            await asyncio.to_thread(roster_file.write, admin.state, rosters)

    async def _hold(self, rosters: Rosters) -> None:
        """Let the file hold, and over it what was changed; where the file has changed since, it wins."""
        self.rosters = rosters.holding(self.written)
        self.settings = self.rosters.over(self.written)
        self.gateway.health.close()
        self.gateway.use(self.settings, self.rosters.draining)
        given_up = list(roster.dropped(rosters, self.rosters))
        for model in given_up:
            self.gateway.observers.administered("give up for the file's", model, "", "the file", None)
        if given_up:  # or it would be back with the file before
            try:
                await self._keep(self.rosters)
            except RosterFileError as error:
                self.gateway.observers.reloaded("replicas", str(error))

    def _part_with_strangers(self, settings: config.TLS) -> None:
        """Connections whose certificates would not be taken any more end with the answer that is under way."""
        trust = tls.Trust(settings)
        for listener, _, _ in self._listeners:
            for connection in list(listener.connections):
                if connection.certificate is not None and not trust.holds(connection.certificate):
                    say("certificate no longer taken", address=connection.peer.address, subject=connection.peer.subject)
                    connection.close_when_idle()

    def _seen(self) -> dict[Path, files.Stamp]:
        """The files that matter, and by what a change of them is seen."""
        settings = self.settings
        center = settings.center.tls if settings.center is not None else None
        edge = settings.edge.tls if settings.edge is not None else None
        engines = [each for model in settings.models for each in (*model.replicas, *model.emergency)]
        sections = (settings.listen.tls, center, edge, *engines)
        return {file: files.stamp(file) for file in (self._path, *itertools.chain(*map(files.named, sections)))}


def _bound(settings: config.Config) -> tuple[object, ...]:
    listen = settings.listen
    watched = settings.metrics, settings.log, settings.audit, settings.tracing
    return listen.address, listen.port, listen.probes, listen.admin, listen.tls is None, settings.center, *watched


async def main(path: Path) -> None:
    server = Server(path)
    await server.start()
    await server.run()


def run(path: Path) -> None:
    """Serve the configuration in `path` until a signal ends it."""
    import uvloop

    set_up()
    uvloop.run(main(path))
