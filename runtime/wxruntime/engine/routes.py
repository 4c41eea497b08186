"""The routes: OpenAI's API over the engine, vLLM's for tokens, and what an operator's probes ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from wxruntime.backends.base import Logprob
from wxruntime.engine.generation import Generation, GenerationFailed
from wxruntime.engine.metrics import CONTENT_TYPE
from wxruntime.engine.openai import (
    ApiError,
    ChatRequest,
    Common,
    CompletionRequest,
    DetokenizeRequest,
    Json,
    Message,
    TokenizeRequest,
    parse,
)
from wxruntime.engine.probes import Readiness
from wxruntime.engine.replies import LONG_ECHO, ChatReply, CompletionReply, Echo, Reply, model_json
from wxruntime.engine.service import CLIENT_LEFT, Service
from wxruntime.engine.stream import EventStream, cancelled_on_leave, going_down
from wxruntime.tokenizer import PromptError

# A prompt longer than this many characters is turned into tokens beside the event loop: it takes milliseconds.
LONG_TEXT = 4096
# Bytes of a request: several times what fills the longest context, 131,072 tokens, in JSON that escapes each character.
MOST_BODY = 16 * 2**20


class Api:
    """The endpoints of one service."""

    def __init__(self, service: Service) -> None:
        self._service, self._engine = service, service.engine
        self._readiness = Readiness(service.engine)
        self._started = int(time.time())

    def app(self) -> ASGIApp:
        """All routes. The two that answer are not looked for among the others: a burst of requests waits for each one's
        way through Starlette's layers, a quarter of what a request costs before it is with the model."""
        others = self._others()
        answering = {"/v1/completions": self.complete, "/v1/chat/completions": self.chat}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            answer = answering.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
            if answer is None:
                await others(scope, receive, send)
                return
            request = Request(scope, receive)
            try:
                response = await answer(request)
            except ApiError as error:
                response = await _api_error(request, error)
            except Exception as error:
                await (await _unforeseen(request, error))(scope, receive, send)
                raise
            await response(scope, receive, send)

        return app

    def _others(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self._engine.start()
            yield
            await self._engine.stop()

        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.model),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/tokenize", self.tokenize, methods=["POST"]),
                Route("/detokenize", self.detokenize, methods=["POST"]),
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/load", self.load),
                Route("/metrics", self.metrics),
            ],
            exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _unforeseen},
            lifespan=lifespan,
        )

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model_json(name) for name in self._service.names]})

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._model_json(self._service.known(request.path_params["name"])))

    async def chat(self, request: Request) -> Response:
        asked = parse(ChatRequest, await _body(request))
        name = self._service.known(asked.model)
        reply = ChatReply(name, self._token_text, self._service.tokenizer.token_bytes)
        prompt = await self._chat_tokens(asked.messages)
        return await self._answer(request, asked, self._service.submit(asked, "messages", prompt), reply)

    async def complete(self, request: Request) -> Response:
        asked = parse(CompletionRequest, await _body(request))
        name = self._service.known(asked.model)
        if asked.max_tokens == 0 and not asked.echo:
            raise ApiError(400, "max_tokens: an answer of no token is for echo", param="max_tokens")
        prompt = await self._text_tokens(asked.prompt) if isinstance(asked.prompt, str) else asked.prompt
        reply = CompletionReply(name, self._token_text, self._echo(asked, prompt))
        return await self._answer(request, asked, self._service.submit(asked, "prompt", prompt), reply)

    async def tokenize(self, request: Request) -> Response:
        asked = parse(TokenizeRequest, await _body(request))
        if (asked.prompt is None) == (asked.messages is None):
            raise ApiError(400, "either prompt or messages must be given", param="prompt")
        if asked.messages is not None:
            tokens = await self._chat_tokens(asked.messages, answer=asked.add_generation_prompt)
        else:
            tokens = await self._text_tokens(asked.prompt or "", special=asked.add_special_tokens)
        texts = [self._token_text(token) for token in tokens] if asked.return_token_strs else None
        body = {"count": len(tokens), "max_model_len": self._service.context_length, "tokens": tokens}
        return JSONResponse(body | {"token_strs": texts})

    async def detokenize(self, request: Request) -> Response:
        asked = parse(DetokenizeRequest, await _body(request))
        return JSONResponse({"prompt": self._service.tokenizer.decode(asked.tokens, skip_special=False)})

    async def health(self, _: Request) -> Response:
        """200 while the engine loads, waits or gets on; 503 when a step takes too long or the engine has ended."""
        return self._probe(self._service.health(), fine=("ok", "loading"))

    async def ready(self, _: Request) -> Response:
        """200 when a real token has just been made, and the engine is healthy."""
        status = self._service.health()
        if status == "ok" and not await self._readiness.ready():
            status = "no token"
        return self._probe(status, fine=("ok",))

    async def load(self, _: Request) -> Response:
        return JSONResponse(self._service.load())

    async def metrics(self, _: Request) -> Response:
        return Response(self._service.metrics.exposition(), media_type=CONTENT_TYPE)

    def _probe(self, status: str, fine: tuple[str, ...]) -> Response:
        body = {"status": status, **asdict(self._engine.progress())}
        return JSONResponse(body, 200 if status in fine else 503)

    def _model_json(self, name: str) -> Json:
        return model_json(name, self._service.context_length, self._started)

    def _token_text(self, token: int) -> str:
        return self._service.tokenizer.decode([token], skip_special=False)

    async def _chat_tokens(self, messages: list[Message], *, answer: bool = True) -> list[int]:
        said = [{"role": message.role, "content": message.text} for message in messages]
        long = sum(len(message["content"]) for message in said) > LONG_TEXT
        return await _tokens("messages", long, lambda: self._service.tokenizer.encode_chat(said, answer=answer))

    async def _text_tokens(self, text: str, *, special: bool = True) -> list[int]:
        read = self._service.tokenizer.encode
        return await _tokens("prompt", len(text) > LONG_TEXT, lambda: read(text, special=special))

    def _echo(self, asked: CompletionRequest, prompt: list[int]) -> Echo | None:
        if not asked.echo:
            return None
        read = self._service.tokenizer.decode
        text = asked.prompt if isinstance(asked.prompt, str) else read(prompt, skip_special=False)
        return Echo(text, prompt, asked.logprobs is not None)

    async def _answer(self, request: Request, asked: Common, generation: Generation, reply: Reply) -> Response:
        if asked.stream:
            return EventStream(generation, reply, asked.wants_usage)
        texts: list[list[str]] = [[] for _ in generation.answers]
        tokens: list[list[tuple[int, Logprob]]] = [[] for _ in generation.answers]
        with cancelled_on_leave(request.receive, generation):
            try:
                async for pieces in generation.pieces():
                    for piece in pieces:
                        texts[piece.index].append(piece.text)
                        tokens[piece.index] += piece.tokens
            except GenerationFailed as error:
                if generation.answers[0].finish_reason == "cancelled":
                    return Response(status_code=CLIENT_LEFT)
                raise ApiError(500, str(error)) from error
            except asyncio.CancelledError:  # uvicorn cancels what is left of a drain
                raise going_down() from None
        long = max(len(answer.prompt_logprobs) for answer in generation.answers) > LONG_ECHO

        def whole() -> Response:
            return JSONResponse(reply.whole(["".join(text) for text in texts], tokens, generation))

        return await run_in_threadpool(whole) if long else whole()


async def _body(request: Request) -> bytes:
    """What is too much is read, so that the client hears why, and not kept."""
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size <= MOST_BODY:
                pieces.append(piece)
    except ClientDisconnect:  # no fault of this server's: no traceback in its log
        raise ApiError(CLIENT_LEFT, "the client left before all of its request had come") from None
    if size > MOST_BODY:
        raise ApiError(413, f"the request has {size} bytes, more than {MOST_BODY}")
    return b"".join(pieces)


async def _tokens(field: str, long: bool, read: Callable[[], list[int]]) -> list[int]:
    try:
        tokens = await run_in_threadpool(read) if long else read()
    except PromptError as error:
        raise ApiError(400, str(error), param=field) from error
    if not tokens:
        raise ApiError(400, f"{field}: there is no token in it", param=field)
    return tokens


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
