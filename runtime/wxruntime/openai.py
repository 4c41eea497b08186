"""OpenAI's wire types: requests checked field by field, answers and stream chunks as they go out.

A field that would change the answer and is not supported is an error that names it, never ignored.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal, TypeVar
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wxruntime.generation import FinishReason, Usage

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error, in OpenAI's shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    @property
    def body(self) -> Json:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class Wire(BaseModel):
    """A JSON object of exactly these fields and types; "1" is not 1."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def only(value: object) -> AfterValidator:
    """For a field that this server takes with one meaning only: `value`, or null."""

    def check(given: object) -> object:
        if given is not None and given != value:
            raise ValueError(f"this server supports only {value!r} here")
        return given

    return AfterValidator(check)


def listed(given: object) -> object:
    """A string is short for a list of one."""
    if given is None or isinstance(given, list):
        return given
    if isinstance(given, str):
        return [given]
    raise ValueError("Input should be a string or an array")


class TextPart(Wire):
    type: Literal["text"]
    text: str


def parts(content: object) -> object:
    """A message's content is a string, or the list of text parts that it is short for."""
    return [TextPart(type="text", text=content)] if isinstance(content, str) else listed(content)


class Message(Wire):
    role: Literal["system", "user", "assistant"]
    content: Annotated[list[TextPart], BeforeValidator(parts)]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)


class StreamOptions(Wire):
    include_usage: bool = False


class Common(Wire):
    """What a chat and a text completion have in common."""

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[list[str], Field(max_length=4), BeforeValidator(listed)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[Any, only(1)] = 1
    frequency_penalty: Annotated[Any, only(0)] = 0
    presence_penalty: Annotated[Any, only(0)] = 0
    logit_bias: Annotated[Any, only({})] = None
    user: str | None = None

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return tuple(text for text in self.stop or [] if text)

    @property
    def token_limit(self) -> int | None:
        """Most tokens of the answer, when the client sets a limit."""
        return self.max_tokens

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(Common):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: Annotated[Any, only(False)] = False
    tools: Annotated[Any, only([])] = None
    tool_choice: Annotated[Any, only("none")] = None
    response_format: Annotated[Any, only({"type": "text"})] = None

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(Common):
    """POST /v1/completions, for one prompt."""

    prompt: Annotated[str, Field(min_length=1)]
    logprobs: Annotated[Any, only(0)] = None
    echo: Annotated[Any, only(False)] = False
    best_of: Annotated[Any, only(1)] = None
    suffix: Annotated[Any, only("")] = None


Request = TypeVar("Request", bound=Common)


def parse(kind: type[Request], body: bytes) -> Request:
    """The request in `body`; a 400 that names the first wrong field otherwise."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ApiError(400, f"unknown field {field!r}", param=field) from None
        message = first["msg"].removeprefix("Value error, ")
        raise ApiError(400, f"{field}: {message}" if field else message, param=field or None) from None


class Reply:
    """The bodies of one answer: whole, or as the chunks of a stream."""

    prefix: str
    whole_object: str
    chunk_object: str

    def __init__(self, model: str) -> None:
        self.id = f"{self.prefix}-{uuid4().hex}"
        self._model, self._created = model, int(time.time())

    def whole(self, text: str, reason: FinishReason | None, usage: Usage) -> Json:
        body = self._body(self.whole_object, [self._choice(reason, self._full(text))])
        return body | {"usage": usage_json(usage)}

    def chunk(self, text: str) -> Json:
        """Some more text."""
        return self._body(self.chunk_object, [self._choice(None, self._part(text))])

    def last_chunk(self, reason: FinishReason | None) -> Json:
        """Why the answer ended."""
        return self._body(self.chunk_object, [self._choice(reason, self._part(""))])

    def usage_chunk(self, usage: Usage) -> Json:
        """Sent after the last chunk when asked for; it has no choices."""
        return self._body(self.chunk_object, []) | {"usage": usage_json(usage)}

    def opening(self) -> list[Json]:
        """Chunks that come before any text."""
        return []

    def _body(self, kind: str, choices: list[Json]) -> Json:
        return {"id": self.id, "object": kind, "created": self._created, "model": self._model, "choices": choices}

    def _choice(self, reason: FinishReason | None, content: Json) -> Json:
        return {"index": 0, **content, "logprobs": None, "finish_reason": reason}

    def _full(self, text: str) -> Json:
        raise NotImplementedError

    def _part(self, text: str) -> Json:
        raise NotImplementedError


class ChatReply(Reply):
    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def opening(self) -> list[Json]:
        delta = {"delta": {"role": "assistant", "content": ""}}
        return [self._body(self.chunk_object, [self._choice(None, delta)])]

    def _full(self, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text}}

    def _part(self, text: str) -> Json:
        return {"delta": {"content": text} if text else {}}


class CompletionReply(Reply):
    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def _full(self, text: str) -> Json:
        return {"text": text}

    def _part(self, text: str) -> Json:
        return {"text": text}


def usage_json(usage: Usage) -> Json:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }


def model_json(name: str, context_length: int, created: int) -> Json:
    """An entry of /v1/models; `max_model_len` is vLLM's name for the context length."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "wxruntime",
        "max_model_len": context_length,
    }
