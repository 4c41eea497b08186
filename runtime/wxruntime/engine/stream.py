"""An answer while it is made: server-sent events, and how a client that leaves is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from wxruntime.engine.generation import Generation, GenerationFailed, Piece
from wxruntime.engine.openai import ApiError
from wxruntime.engine.replies import DONE, LONG_ECHO, Reply, event

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def _written(chunk: Callable[[Piece, int], bytes], pieces: list[Piece], lengths: list[int]) -> bytes:
    return b"".join([chunk(piece, lengths[piece.index]) for piece in pieces])


@contextmanager
def cancelled_on_leave(receive: Receive, generation: Generation) -> Iterator[None]:
    """While this is open, a client that closes its connection takes its sequences out of the batch."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        generation.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        generation.cancel()


def going_down() -> ApiError:
    """For an answer that was not done when the time to drain was over: a gateway takes its request elsewhere."""
    return ApiError(503, "the server is going down", code="going_down", retry_after_s=1)


class EventStream(Response):
    """Chunks, the reason, usage when asked for, [DONE]. A failure before the first chunk has its own status, one on the
    way is an event.

    Sent without Starlette's own streaming, which starts a group of tasks an answer and wakes several a chunk. A write
    costs more than what is written, so the status goes out with the first chunk, when the model has the prompt and does
    not wait for this process, and the last chunk with all that follows it.
    """

    def __init__(self, generation: Generation, reply: Reply, wants_usage: bool) -> None:
        self.status_code, self.background = 200, None
        self._generation, self._reply, self._wants_usage = generation, reply, wants_usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        generation, chunk = self._generation, self._reply.chunk
        lengths = [0] * len(generation.answers)
        begun, last = False, b""
        with cancelled_on_leave(receive, generation):
            try:
                async for pieces in generation.pieces():
                    if max(len(piece.prompt) for piece in pieces) > LONG_ECHO:
                        body = await asyncio.to_thread(_written, chunk, pieces, lengths)
                    else:
                        body = _written(chunk, pieces, lengths)
                    for piece in pieces:
                        lengths[piece.index] += len(piece.text)
                    if not begun:
                        begun = True
                        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                    if generation.over:
                        last = body
                    else:
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                if self._wants_usage:
                    last += self._reply.usage_chunk(generation.usage)
            except (GenerationFailed, asyncio.CancelledError) as error:  # uvicorn cancels what is left of a drain
                failure = ApiError(500, str(error)) if isinstance(error, GenerationFailed) else going_down()
                if not begun:
                    await JSONResponse(failure.body, failure.status, failure.headers)(scope, receive, send)
                    return
                last = event(failure.body)
            except Exception:
                if not begun:  # the traceback is for the server's log, and the status can still tell the client
                    await JSONResponse(ApiError(500, "internal error").body, 500)(scope, receive, send)
                raise
            await send({"type": "http.response.body", "body": last + DONE})
