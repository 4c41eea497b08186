"""The routes: OpenAI's API over the engine, and what an operator's probes ask."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from wxruntime.checkpoint import Checkpoint
from wxruntime.draws import Sampling
from wxruntime.engine import Engine, Model, NotReady, QueueFull
from wxruntime.generation import Generation, GenerationFailed
from wxruntime.metrics import CONTENT_TYPE, Metrics
from wxruntime.model import PromptError
from wxruntime.openai import (
    ApiError,
    ChatReply,
    ChatRequest,
    Common,
    CompletionReply,
    CompletionRequest,
    Json,
    Reply,
    model_json,
    parse,
)

CLIENT_LEFT = 499  # nginx's number, for the log: nobody reads this answer


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes serve, under one or more names. A step that takes longer than stall_s counts as a fault."""

    engine: Engine
    checkpoint: Checkpoint
    metrics: Metrics
    names: tuple[str, ...]
    stall_s: float

    def health(self) -> str:
        """One word: ok, loading, stalled, failed or stopped."""
        progress = self.engine.progress()
        if progress.state == "ready":
            return "stalled" if progress.idle_s > self.stall_s else "ok"
        return progress.state


class Api:
    """The endpoints of one service."""

    def __init__(self, service: Service) -> None:
        self._service, self._engine = service, service.engine
        self._started = int(time.time())

    def app(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self._engine.start()
            yield
            self._engine.stop()

        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.model),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/metrics", self.metrics),
            ],
            exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _unforeseen},
            lifespan=lifespan,
        )

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model_json(name) for name in self._service.names]})

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._model_json(self._known(request.path_params["name"])))

    async def chat(self, request: Request) -> Response:
        asked = parse(ChatRequest, await request.body())
        reply = ChatReply(self._known(asked.model))
        messages = [{"role": message.role, "content": message.text} for message in asked.messages]
        prompt = await self._prompt("messages", lambda model: model.encode_chat(messages))
        return await self._answer(request, asked, self._submit(asked, "messages", prompt), reply)

    async def complete(self, request: Request) -> Response:
        asked = parse(CompletionRequest, await request.body())
        reply = CompletionReply(self._known(asked.model))
        prompt = await self._prompt("prompt", lambda model: model.encode(asked.prompt))
        return await self._answer(request, asked, self._submit(asked, "prompt", prompt), reply)

    async def health(self, _: Request) -> Response:
        """200 while the engine loads, waits or gets on; 503 when a step takes too long or the engine has ended."""
        return self._probe(self._service.health(), fine=("ok", "loading"))

    async def ready(self, _: Request) -> Response:
        """200 once a real token has been made, as long as the engine is healthy."""
        return self._probe(self._service.health(), fine=("ok",))

    async def metrics(self, _: Request) -> Response:
        return Response(self._service.metrics.exposition(), media_type=CONTENT_TYPE)

    def _probe(self, status: str, fine: tuple[str, ...]) -> Response:
        body = {"status": status, **asdict(self._engine.progress())}
        return JSONResponse(body, 200 if status in fine else 503)

    def _known(self, name: str) -> str:
        if name not in self._service.names:
            known = ", ".join(self._service.names)
            raise ApiError(404, f"no model {name!r} here; served: {known}", param="model", code="model_not_found")
        return name

    def _model_json(self, name: str) -> Json:
        return model_json(name, self._service.checkpoint.context_length, self._started)

    async def _prompt(self, field: str, encode: Callable[[Model], list[int]]) -> list[int]:
        """The prompt's tokens, worked out beside the event loop: a long one takes a while."""
        try:
            return await run_in_threadpool(encode, self._engine.model)
        except NotReady:
            raise _not_ready() from None
        except PromptError as error:
            raise ApiError(400, str(error), param=field) from None

    def _submit(self, asked: Common, field: str, prompt: list[int]) -> Generation:
        sampling = self._sampling(asked, field, len(prompt))
        try:
            return self._engine.submit(prompt, sampling)
        except NotReady:
            raise _not_ready() from None
        except QueueFull:
            message = "the queue is full, try again later"
            raise ApiError(503, message, code="queue_full", retry_after_s=1) from None

    def _sampling(self, asked: Common, field: str, prompt_length: int) -> Sampling:
        """The request's choices, the checkpoint's where it makes none; the answer must fit beside the prompt."""
        checkpoint = self._service.checkpoint
        room = checkpoint.context_length - prompt_length
        wanted = asked.token_limit
        if room < (wanted or 1):
            raise ApiError(
                400,
                f"{prompt_length} prompt tokens and {wanted or 1} for the answer exceed the model's context of "
                f"{checkpoint.context_length} tokens",
                param=field,
                code="context_length_exceeded",
            )
        return Sampling(
            max_tokens=wanted or room,
            temperature=checkpoint.temperature if asked.temperature is None else asked.temperature,
            top_p=checkpoint.top_p if asked.top_p is None else asked.top_p,
            seed=asked.seed,
            stop=asked.stop_strings,
        )

    async def _answer(self, request: Request, asked: Common, generation: Generation, reply: Reply) -> Response:
        if asked.stream:
            return StreamingResponse(
                _events(generation, reply, asked.wants_usage),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
                background=BackgroundTask(generation.cancel),
            )
        text = await _while_connected(request, generation)
        if text is None:
            return Response(status_code=CLIENT_LEFT)
        return JSONResponse(reply.whole(text, generation.finish_reason, generation.usage))


async def _while_connected(request: Request, generation: Generation) -> str | None:
    """The whole answer; None, and the generation cancelled, when the client leaves first."""
    reading = asyncio.create_task(generation.text())
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    except GenerationFailed as error:
        raise ApiError(500, str(error)) from error
    finally:
        generation.cancel()
        reading.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(generation: Generation, reply: Reply, wants_usage: bool) -> AsyncIterator[bytes]:
    """Server-sent events: chunks, the reason, usage when asked for, [DONE]. A failure on the way is an event too."""
    try:
        for chunk in reply.opening():
            yield _event(chunk)
        async for text in generation.deltas():
            yield _event(reply.chunk(text))
        yield _event(reply.last_chunk(generation.finish_reason))
        if wants_usage:
            yield _event(reply.usage_chunk(generation.usage))
    except GenerationFailed as error:
        yield _event(ApiError(500, str(error)).body)
    finally:
        generation.cancel()
    yield b"data: [DONE]\n\n"


def _event(body: Json) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _not_ready() -> ApiError:
    return ApiError(503, "the model is not ready yet", code="not_ready", retry_after_s=2)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    """Starlette's own: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    return JSONResponse(ApiError(error.status_code, error.detail).body, error.status_code, headers=error.headers)


async def _unforeseen(_: Request, error: Exception) -> Response:
    """The traceback is in the log; the client gets OpenAI's shape."""
    return JSONResponse(ApiError(500, "internal error").body, 500)
