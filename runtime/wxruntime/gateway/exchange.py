"""One call to the gateway and its answer: what every stage of the pipeline reads, and what is noted on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from wxruntime.gateway.allowlist import Guest

Headers = list[tuple[bytes, bytes]]  # names in small letters
Route = Literal["chat", "completion", "embedding", "tokenize", "detokenize"]
Outcome = Literal["answered", "error", "refused", "left", "broken"]

JSON: Headers = [(b"content-type", b"application/json")]
EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
DONE = b"data: [DONE]\n\n"


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Asked(msgspec.Struct):
    """The fields of a request's body that decide where it goes; the rest is the engine's and is only read over."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of one answer; `exact` when the engine has told them, else counted from what passed by."""

    prompt: int = 0
    completion: int = 0
    exact: bool = False


@dataclass(slots=True, eq=False)
class Call:
    """A request that has passed the allowlist. Times are seconds of time.monotonic()."""

    id: str
    guest: Guest
    route: Route
    path: bytes  # as it goes upstream
    body: bytes  # as it came, and as it goes upstream
    asked: Asked
    headers: Headers
    received: float
    model: str = ""  # the model's name in the configuration, whatever alias was asked for
    deadline: float = 0.0  # no longer waited for a turn after this
    # what happened, in order
    admitted: float | None = None
    sent: float | None = None  # last handed to a replica
    first_byte: float | None = None
    last_byte: float | None = None
    ended: float | None = None
    attempts: int = 0
    replica: str | None = None  # its URL
    engine: str = "primary"  # primary, emergency, or what a stage says that answered instead
    cache: str | None = None  # HIT, MISS or BYPASS, when there is a cache
    status: int = 0
    bytes_out: int = 0
    usage: Usage = field(default_factory=Usage)
    outcome: Outcome = "answered"
    error: str | None = None  # why, in a word, where the outcome is not "answered"
    endings: list[Callable[[], None]] = field(default_factory=list)  # called once when all is over, however it ended

    @property
    def streaming(self) -> bool:
        return bool(self.asked.stream)


@dataclass(slots=True, eq=False)
class Answer:
    """What goes back: a body at once, or pieces of one as they come.

    A stream may be dropped before its first piece is asked for, and then its `finally` never runs: what must be given
    back in any case belongs in the call's `endings`.
    """

    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None


class Refusal(Exception):
    """The gateway says no, in OpenAI's error shape. `code` is a word for programs, logs and metrics."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after

    def answer(self) -> Answer:
        headers = JSON
        if self.retry_after is not None:
            headers = [*JSON, (b"retry-after", str(max(1, round(self.retry_after))).encode())]
        return Answer(self.status, headers, error_body(self.status, self.code, self.message))


def error_body(status: int, code: str, message: str) -> bytes:
    """An error as OpenAI's clients read it."""
    if status == 429:
        kind = "rate_limit_error"
    elif status in (401, 403):
        kind = "permission_error" if status == 403 else "authentication_error"
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def error_event(status: int, code: str, message: str) -> bytes:
    """An error inside a stream that has begun; [DONE] follows, so no client waits for more."""
    return b"data: " + error_body(status, code, message) + b"\n\n" + DONE
