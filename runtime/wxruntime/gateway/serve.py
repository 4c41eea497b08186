"""Runs the gateway: sockets, signals, reloads, the drain at the end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from pathlib import Path

from wxruntime.document import DocumentError
from wxruntime.gateway import config, tls
from wxruntime.gateway.app import Gateway
from wxruntime.gateway.connection import Listener
from wxruntime.gateway.health import LATE_LOOP_SECONDS
from wxruntime.gateway.telemetry import Telemetry

log = logging.getLogger("wxruntime.gateway")


class Server:
    """A gateway with its sockets open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settings = config.read(path)
        self.gateway = Gateway(self.settings)
        self.telemetry = Telemetry(self.settings, self.gateway)
        self._loop = asyncio.get_running_loop()
        self._listeners: list[tuple[Listener, socket.socket, bool]] = []
        self._servers: list[asyncio.Server] = []
        self._stopping = asyncio.Event()
        self._stamps = self._seen()

    async def start(self) -> None:
        listen = self.settings.listen
        self._listen(listen.address, listen.port, secure=listen.tls is not None)
        if listen.probes is not None:
            self._listen(listen.probes.address, listen.probes.port, secure=False)
        await self._serve()
        self.telemetry.start()
        for _, sock, secure in self._listeners:
            host, port = sock.getsockname()[:2]
            log.info("listening on %s://%s:%d", "https" if secure else "http", host, port)

    def _listen(self, address: str, port: int, *, secure: bool) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.create_server((address, port), family=family, backlog=4096)
        self._listeners.append((Listener(self.gateway, self.settings.requests, self._loop), sock, secure))

    async def _serve(self) -> None:
        """Accept on the sockets, under the TLS settings as they are now. Connections made before go on."""
        context = tls.server_context(self.settings.listen.tls) if self.settings.listen.tls else None
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

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let what is under way end."""
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._loop.add_signal_handler(signal.SIGINT, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: self._loop.create_task(self.reload()))
        beats = 0
        while not self._stopping.is_set():
            self.gateway.health.tick()
            beats += 1
            if beats % 4 == 0:
                for listener, _, _ in self._listeners:
                    listener.tick()
                if self._seen() != self._stamps:
                    await self.reload()
            await asyncio.sleep(LATE_LOOP_SECONDS)
        await self._drain()

    def _stop(self) -> None:
        if self._stopping.is_set():
            log.warning("second signal: ending now")
            for listener, _, _ in self._listeners:
                for connection in list(listener.connections):
                    connection.abort()
        self._stopping.set()

    async def _drain(self) -> None:
        log.info("draining for at most %g s", self.settings.drain_seconds)
        self.gateway.draining = True
        for listener, _, secure in self._listeners:
            if secure or len(self._listeners) == 1:
                listener.drain()
        end = self._loop.time() + self.settings.drain_seconds
        while self._loop.time() < end and any(listener.answering for listener, _, _ in self._listeners):
            self.gateway.health.tick()
            await asyncio.sleep(0.05)
        for server in self._servers:
            server.close()
        for listener, _, _ in self._listeners:
            for connection in list(listener.connections):
                connection.abort()
        self.gateway.health.close()
        await self.gateway.close()
        await asyncio.to_thread(self.telemetry.close)

    async def reload(self) -> None:
        """Read configuration, allowlist and certificates again. What is broken changes nothing and is told."""
        self._stamps = self._seen()
        try:
            settings = config.read(self._path)
            if settings.listen.tls is not None:
                tls.server_context(settings.listen.tls)
        except (DocumentError, tls.TLSError) as error:
            log.error("reload failed, the settings before stay in force: %s", error)
            self.gateway.observers.reloaded("config", str(error))
            return
        if _bound(settings) != _bound(self.settings):
            log.warning("listen.address, listen.port and listen.probes change with the next start")
        self.settings = settings
        self.gateway.health.close()
        self.gateway.use(settings)
        if settings.listen.tls is not None:
            await self._serve()
        self.gateway.observers.reloaded("config", None)
        log.info("reloaded %s", self._path)

    def _seen(self) -> dict[Path, tuple[int, int, int]]:
        """The files that matter, and by what a change of them is seen."""
        files = [self._path]
        if (secure := self.settings.listen.tls) is not None:
            files += [each for each in (secure.certificate, secure.key, secure.client_ca, secure.crl) if each]
        seen = {}
        for file in files:
            try:
                stat = file.stat()
                seen[file] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError:
                seen[file] = (0, 0, 0)
        return seen


def _bound(settings: config.Config) -> tuple[object, ...]:
    return settings.listen.address, settings.listen.port, settings.listen.probes


async def main(path: Path) -> None:
    server = Server(path)
    await server.start()
    await server.run()


def run(path: Path) -> None:
    """Serve the configuration in `path` until a signal ends it."""
    import uvloop

    uvloop.run(main(path))
