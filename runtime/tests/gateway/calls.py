"""Calls and engines for tests of single stages: an engine here is a function that says what it was told to say."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import wraps
from types import SimpleNamespace
from typing import Any

import msgspec

from wxruntime.gateway.exchange import Answer, Asked, Call, Headers, Usage

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
ASKED: dict[str, Any] = {"model": "ernie", "messages": [{"role": "user", "content": "你好"}], "temperature": 0}
EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON: Headers = [(b"content-type", b"application/json")]
_asked = msgspec.json.Decoder(Asked)


def call(client: str = "shop", headers: Headers | None = None, route: Any = "chat", **fields: Any) -> Call:
    """A call for ASKED with other fields; a field that is ... is left out."""
    body = json.dumps({k: v for k, v in (ASKED | fields).items() if v is not ...}, ensure_ascii=False).encode()
    path = {"chat": b"/v1/chat/completions", "completion": b"/v1/completions", "embedding": b"/v1/embeddings"}
    guest: Any = SimpleNamespace(name=client, priority=5)
    return Call(
        f"call-{time.monotonic_ns()}", guest, route, path.get(route, b"/tokenize"), body, _asked.decode(body),
        headers or [], time.monotonic(), model="ernie",
    )  # fmt: skip


def event(body: Any) -> bytes:
    return b"data: " + (body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()) + b"\n\n"


def events(*texts: str, usage: bool = True, reason: str = "stop") -> list[bytes]:
    """A chat's stream."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "ernie"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    made = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    made.append(chunk({}, reason))
    if usage:
        made.append(event({**head, "choices": [], "usage": USAGE}))
    return [*made, event(b"[DONE]")]


def whole(text: str = "你好", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "ernie"}
    return json.dumps({**head, "choices": [choice], "usage": USAGE} | more, ensure_ascii=False).encode()


class Engine:
    """Answers in the form that is asked for. Waits at `gate` before the first byte, and at `step` before each event."""

    def __init__(self, *texts: str, status: int = 200) -> None:
        self.texts = texts or ("你", "好")
        self.status = status
        self.calls: list[Call] = []
        self.cancelled = 0
        self.gate, self.step = asyncio.Event(), asyncio.Semaphore(0)
        self.gate.set()
        self.stepwise = False
        self.fault: Exception | None = None
        self.engine = "primary"
        self.breaks = False  # in the middle of a stream, with an error event

    async def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        call.attempts += 1
        call.engine, call.replica = self.engine, "http://a"
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None:
            raise self.fault
        if self.status != 200:
            return Answer(self.status, JSON, b'{"error": {"message": "no"}}')
        if call.streaming:
            return Answer(200, [*EVENTS, (b"x-request-id", call.id.encode())], stream=self._stream(call))
        call.usage = Usage(5, 2, True)
        return Answer(200, [*JSON, (b"x-request-id", call.id.encode())], whole("".join(self.texts)))

    async def _stream(self, call: Call) -> AsyncGenerator[bytes, None]:
        options = call.asked.stream_options
        said = events(*self.texts, usage=options is not None and bool(options.include_usage))
        if self.breaks:
            said = [*said[:2], event({"error": {"message": "broke"}}), event(b"[DONE]")]
        try:
            for at, piece in enumerate(said):
                if self.stepwise:
                    await self.step.acquire()
                if self.breaks and at == 2:
                    call.outcome, call.error = "broken", "closed"
                call.first_byte = call.first_byte or time.monotonic()
                call.last_byte = time.monotonic()
                call.usage.completion += 1
                yield piece
            call.usage = Usage(5, 2, True)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


async def read(answer: Answer) -> bytes:
    """All that an answer says."""
    if answer.stream is None:
        return answer.body
    return b"".join([piece async for piece in answer.stream])


def header(answer: Answer, name: str) -> str | None:
    return next((value.decode() for key, value in answer.headers if key == name.encode()), None)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**arguments), 20))

    return run


async def settle() -> None:
    """Let all tasks get as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def over(call: Call) -> None:
    """The client has its answer, or has left."""
    for ending in call.endings:
        ending()
