"""A replica of a model: where it is, how many calls it has, whether it takes more, and its breaker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from wxruntime.gateway import config
from wxruntime.gateway.breaker import Breaker, State
from wxruntime.gateway.exchange import Call
from wxruntime.gateway.files import stamps
from wxruntime.gateway.pipeline import Observer
from wxruntime.gateway.tls import client_context
from wxruntime.gateway.upstream import Pool


class Replica:
    """One engine's address. `running` is what this gateway has there now."""

    def __init__(self, settings: config.Replica, model: config.Model, whole: config.Config, observer: Observer) -> None:
        self.settings = settings
        self.files = stamps(settings)  # the key and the certificates, as they are now
        self.url = settings.url
        self.model = model.name
        self.served_name = settings.served_name
        self.concurrent = settings.concurrent
        self.running = 0
        self.draining = False  # gets no new calls, whatever its breaker says
        self.last_sign = 0.0  # when it last answered anybody
        self.last_probe = 0.0
        self.misses = 0  # probes in a row that failed
        self.proven = False  # has made a token
        self.trouble = ""  # why it failed last
        self.breaker = Breaker(whole.breaker, self._changed)
        self._observer = observer
        parts = urlsplit(settings.url)
        self._host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        context = client_context(settings.tls) if parts.scheme == "https" else None
        upstream = whole.upstream
        self.pool = Pool(
            self._host, port, context, upstream.connect_seconds, upstream.idle_seconds, upstream.answer_bytes
        )
        self._first_lines = f"HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n".encode()
        if settings.api_key_file is not None:
            key = settings.api_key_file.read_text().strip()
            self._first_lines += f"authorization: Bearer {key}\r\n".encode()

    @property
    def takes_calls(self) -> bool:
        return self.breaker.state == "closed" and not self.draining

    @property
    def state(self) -> str:
        """In a word, for operators: up, draining, probing (asked for its first token, or for one again), down."""
        if self.draining:
            return "draining"
        return {"closed": "up", "half-open": "probing", "open": "down"}[self.breaker.state]

    @property
    def has_room(self) -> bool:
        return self.running < self.concurrent

    def head(self, path: bytes, call_id: str, length: int, headers: list[tuple[bytes, bytes]] = []) -> bytes:  # noqa: B006
        """The request line and headers of a POST to this replica."""
        more = b"".join(b"%b: %b\r\n" % each for each in headers)
        return b"POST %b %bx-request-id: %b\r\n%bcontent-length: %d\r\n\r\n" % (
            path, self._first_lines, call_id.encode(), more, length,
        )  # fmt: skip

    def get(self, path: bytes) -> bytes:
        """The head of a GET."""
        return b"GET %b %b\r\n" % (path, self._first_lines)

    @staticmethod
    def full(status: int, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether an answer says "full, come back", and not "broken"."""
        return status == 429 or (status == 503 and any(name == b"retry-after" for name, _ in headers))

    def failed(self, why: str) -> None:
        self.trouble = why
        self.breaker.failed(time.monotonic())

    def succeeded(self) -> None:
        self.last_sign = time.monotonic()
        self.proven = True
        self.breaker.succeeded()

    def _changed(self, before: State, after: State) -> None:
        self._observer.breaker(self, before, after)


class LeastBusy:
    """The picker that knows nothing of prefixes: the replica with the fewest calls, in turn among equals."""

    def __init__(self) -> None:
        self._turn = 0

    def pick(self, call: Call, among: Sequence[Replica]) -> Replica:
        self._turn += 1
        start = self._turn % len(among)
        return min((*among[start:], *among[:start]), key=lambda replica: replica.running)

    def routed(self, call: Call, replica: Replica) -> None:
        pass


class RoundRobin:
    """The picker that looks at nothing: each in its turn."""

    def __init__(self) -> None:
        self._turn = 0

    def pick(self, call: Call, among: Sequence[Replica]) -> Replica:
        self._turn += 1
        return among[self._turn % len(among)]

    def routed(self, call: Call, replica: Replica) -> None:
        pass
