"""Answers that several gateways keep together in Valkey or Redis. A store that is down or slow is passed by."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import TYPE_CHECKING, Any

import msgspec

from wxruntime.gateway import config
from wxruntime.gateway.recorded import Recorded

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("wxruntime.gateway.cache")

# Writes under way at once: more are not begun, for a store that cannot keep up is not to fill the memory here.
WRITES = 64
PASS_BY_SECONDS, PASS_BY_LIMIT = 1.0, 30.0


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """What stands in the store: a version, then a Recorded field by field."""

    version: int
    stream: bool
    content_type: bytes
    body: bytes
    usage: bytes
    tail: bytes
    prompt_tokens: int
    completion_tokens: int
    stored: float


VERSION = 1
_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Kept)


class SharedStore:
    """After a failure the store is not asked for a second, then for two, up to half a minute."""

    def __init__(self, settings: config.SharedCache, *, ttl_seconds: float) -> None:
        self.failures = 0
        self._settings, self._ttl_ms = settings, max(1, int(ttl_seconds * 1000))
        self._client = _client(settings)
        self._pause = PASS_BY_SECONDS
        self._again = 0.0
        self._writes = set[asyncio.Task[None]]()

    @property
    def passed_by(self) -> bool:
        return time.monotonic() < self._again

    async def get(self, slot: bytes) -> Recorded | None:
        if self.passed_by:
            return None
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                said = await self._client.get(self._name(slot))
        except Exception as error:  # whatever a driver raises, a client of the gateway does not see it
            self._failed(error)
            return None
        self._well()
        return _understood(said, stream=slot.endswith(b"s")) if isinstance(said, bytes) else None

    def put(self, slot: bytes, answer: Recorded) -> None:
        """Begin to write, and do not wait for it."""
        if self.passed_by or len(self._writes) >= WRITES:
            return
        task = asyncio.create_task(self._put(slot, answer))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self) -> None:
        for task in self._writes:
            task.cancel()
        await self._client.aclose()

    async def _put(self, slot: bytes, answer: Recorded) -> None:
        fields = [getattr(answer, name) for name in Recorded.__slots__]
        said = _encoder.encode(_Kept(VERSION, *fields))
        try:
            async with asyncio.timeout(max(1.0, self._settings.timeout_seconds)):
                await self._client.set(self._name(slot), said, px=self._ttl_ms)
        except Exception as error:
            self._failed(error)

    def _name(self, slot: bytes) -> bytes:
        return f"{self._settings.namespace}:{slot.hex()}".encode()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if self.passed_by:
            return
        self._again = time.monotonic() + self._pause
        said = str(error) or type(error).__name__
        log.warning("the shared cache does not answer and is passed by for %g s: %s", self._pause, said)
        self._pause = min(self._pause * 2, PASS_BY_LIMIT)

    def _well(self) -> None:
        self._pause = PASS_BY_SECONDS


def _understood(said: bytes, *, stream: bool) -> Recorded | None:
    """None for what another version, or somebody else, has written there."""
    try:
        kept = _decoder.decode(said)
    except msgspec.DecodeError:
        return None
    if kept.version != VERSION or kept.stream != stream:
        return None
    return Recorded(*(getattr(kept, name) for name in Recorded.__slots__))


def _client(settings: config.SharedCache) -> Redis:
    from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    host, port = settings.host, settings.port
    secret = settings.password_file.read_text().strip() if settings.password_file else None
    options: dict[str, Any] = {
        "host": host, "port": port, "db": settings.database, "username": settings.username, "password": secret,
        "socket_connect_timeout": settings.timeout_seconds, "retry": Retry(NoBackoff(), 0), "max_connections": 64,
        "health_check_interval": 0,
    }  # fmt: skip
    if settings.tls is None:
        return Redis(connection_pool=ConnectionPool(Connection, **options))
    options |= {
        "ssl_ca_certs": str(settings.tls.ca) if settings.tls.ca else None,
        "ssl_certfile": str(settings.tls.certificate) if settings.tls.certificate else None,
        "ssl_keyfile": str(settings.tls.key) if settings.tls.key else None,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }
    return Redis(connection_pool=ConnectionPool(SSLConnection, **options))
