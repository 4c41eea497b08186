"""OpenAI's requests, checked field by field.

A field that would change the answer and is not supported is an error that names it, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Json = dict[str, Any]

# Most alternatives that are told with a token; OpenAI's limit, and vLLM's default for both routes.
MOST_LOGPROBS = 20
MOST_ANSWERS = 128


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
        kind = {429: "rate_limit_error"}.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )
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


def one_prompt(given: object) -> object:
    """A text, or the ids of its tokens. A list that holds one of these is that one, as OpenAI has it."""
    return given[0] if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str | list) else given


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


TokenIds = list[Annotated[int, Field(ge=0, lt=2**32)]]  # the tokenizer's own type
Prompt = Annotated[
    Annotated[str, Field(min_length=1)] | Annotated[TokenIds, Field(min_length=1)], BeforeValidator(one_prompt)
]


class Common(Wire):
    """What a chat and a text completion have in common. ignore_eos is vLLM's: go on to max_tokens in any case."""

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[list[str], Field(max_length=4), BeforeValidator(listed)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] | None = None
    ignore_eos: bool = False
    frequency_penalty: Annotated[Any, only(0)] = 0
    presence_penalty: Annotated[Any, only(0)] = 0
    logit_bias: Annotated[Any, only({})] = None
    user: str | None = None

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return tuple(text for text in self.stop or [] if text)

    @property
    def token_limit(self) -> int | None:
        """Most tokens of an answer, when the client sets a limit."""
        return self.max_tokens

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def alternatives(self) -> int | None:
        """How many likely tokens to tell with each, or None for no likelihoods at all."""
        raise NotImplementedError

    @property
    def prompt_alternatives(self) -> int | None:
        """The same for the tokens of the prompt."""
        return None


class ChatRequest(Common):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    tools: Annotated[Any, only([])] = None
    tool_choice: Annotated[Any, only("none")] = None
    response_format: Annotated[Any, only({"type": "text"})] = None

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(Common):
    """POST /v1/completions, for one prompt. With echo it stands before the answer, which then may be of no token."""

    prompt: Prompt
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    echo: bool | None = None
    best_of: Annotated[Any, only(1)] = None
    suffix: Annotated[Any, only("")] = None

    @property
    def alternatives(self) -> int | None:
        return self.logprobs

    @property
    def prompt_alternatives(self) -> int | None:
        return self.logprobs if self.echo else None


class TokenizeRequest(Wire):
    """POST /tokenize, as vLLM has it: a prompt, or messages."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool = False


class DetokenizeRequest(Wire):
    """POST /detokenize, as vLLM has it."""

    model: str | None = None
    tokens: TokenIds


Request = TypeVar("Request", bound=Wire)


def parse(kind: type[Request], body: bytes) -> Request:
    """The request in `body`; a 400 that names the first wrong field otherwise."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"] if not _branch(part))
        if first["type"] == "extra_forbidden":
            raise ApiError(400, f"unknown field {field!r}", param=field) from None
        message = first["msg"].removeprefix("Value error, ")
        raise ApiError(400, f"{field}: {message}" if field else message, param=field or None) from None


def _branch(part: int | str) -> bool:
    """pydantic's name of a branch of a union, which no client wrote."""
    return isinstance(part, str) and (part.startswith(("constrained-", "list[")) or part == "str")
