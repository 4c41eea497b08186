"""What goes out: whole answers, and the chunks of a stream, of which all that stays the same is written once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from uuid import uuid4

from wxruntime.backends.base import Logprob
from wxruntime.engine.generation import Answer, FinishReason, Generation, Piece, Usage
from wxruntime.engine.openai import Json

DONE = b"data: [DONE]\n\n"
# An answer that tells more tokens of its prompt than this is written beside the event loop: it takes milliseconds.
LONG_ECHO = 512
# A place in a chunk's JSON where something is put in later; no other string of it can be this.
_TEXT, _LOGPROBS, _REASON = "\x00text", "\x00logprobs", "\x00reason"

TokenText = Callable[[int], str]
Told = Sequence[tuple[int, Logprob | None]]  # tokens, and how likely each was; the first of all is not told


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(body: Json) -> bytes:
    return f"data: {compact(body)}\n\n".encode()


class Reply:
    """The bodies of one request's answers. `token_text` says how a token is written in logprobs."""

    prefix: str
    whole_object: str
    chunk_object: str

    def __init__(self, model: str, token_text: TokenText) -> None:
        self.id = f"{self.prefix}-{uuid4().hex}"
        self._model, self._created, self._token_text = model, int(time.time()), cache(token_text)
        self._frames: dict[int, tuple[str, str, str]] = {}

    def whole(self, texts: list[str], tokens: list[list[tuple[int, Logprob]]], generation: Generation) -> Json:
        choices = [
            self._choice(answer.index, self._full(text), self._all_logprobs(answer, told), answer.finish_reason)
            for answer, text, told in zip(generation.answers, texts, tokens, strict=True)
        ]
        return self._body(self.whole_object, choices) | {"usage": usage_json(generation.usage)}

    def chunk(self, piece: Piece, offset: int) -> bytes:
        """The events for what is new of an answer; `offset` is the length of the answer's text before."""
        opening = self._opening(piece) if piece.first else b""
        if not piece.text and not piece.tokens and piece.reason is None and opening:
            return opening
        frame = self._frames.get(piece.index) or self._frame(piece.index)
        logprobs = "null" if not piece.tokens else compact(self._logprobs(piece.tokens, offset))
        reason = "null" if piece.reason is None else f'"{piece.reason}"'
        before, between, after = frame
        text = json.dumps(piece.text, ensure_ascii=False)
        return opening + f"{before}{text}{between}{logprobs}{after}{reason}}}]}}\n\n".encode()

    def usage_chunk(self, usage: Usage) -> bytes:
        """Sent after the last chunk when asked for; it has no choices."""
        return event(self._body(self.chunk_object, []) | {"usage": usage_json(usage)})

    def _frame(self, index: int) -> tuple[str, str, str]:
        """A chunk's JSON before its text, between text and logprobs, and between these and the reason."""
        chunk = self._body(self.chunk_object, [self._choice(index, self._part(_TEXT), _LOGPROBS, _REASON)])
        rest = "data: " + compact(chunk)
        frame = []
        for gap in (_TEXT, _LOGPROBS, _REASON):
            before, rest = rest.split(json.dumps(gap), 1)
            frame.append(before)
        self._frames[index] = frame[0], frame[1], frame[2]
        return self._frames[index]

    def _opening(self, piece: Piece) -> bytes:
        """What comes before any text."""
        return b""

    def _all_logprobs(self, answer: Answer, tokens: Told) -> Json | None:
        """Of a whole answer."""
        return self._logprobs(tokens, 0)

    def _body(self, kind: str, choices: list[Json]) -> Json:
        return {"id": self.id, "object": kind, "created": self._created, "model": self._model, "choices": choices}

    def _choice(self, index: int, content: Json, logprobs: object, reason: FinishReason | str | None) -> Json:
        return {"index": index, **content, "logprobs": logprobs, "finish_reason": reason}

    def _full(self, text: str) -> Json:
        raise NotImplementedError

    def _part(self, text: str) -> Json:
        raise NotImplementedError

    def _logprobs(self, tokens: Told, offset: int) -> Json | None:
        raise NotImplementedError


class ChatReply(Reply):
    """Of a conversation. `token_bytes`: of which clients put characters together that span tokens."""

    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(self, model: str, token_text: TokenText, token_bytes: Callable[[int], bytes]) -> None:
        super().__init__(model, token_text)
        self._token_bytes = cache(token_bytes)

    def _opening(self, piece: Piece) -> bytes:
        delta = {"delta": {"role": "assistant", "content": ""}}
        return event(self._body(self.chunk_object, [self._choice(piece.index, delta, None, None)]))

    def _full(self, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text}}

    def _part(self, text: str) -> Json:
        return {"delta": {"content": text}}

    def _logprobs(self, tokens: Told, offset: int) -> Json | None:
        if not tokens:
            return None
        content = [
            self._told(token, told.chosen) | {"top_logprobs": [self._told(*each) for each in told.top]}
            for token, told in tokens
            if told is not None
        ]
        return {"content": content}

    def _told(self, token: int, logprob: float) -> Json:
        return {"token": self._token_text(token), "logprob": logprob, "bytes": list(self._token_bytes(token))}


@dataclass(frozen=True, slots=True)
class Echo:
    """The prompt of a completion that is to stand before its answers. told: with how likely its tokens were."""

    text: str
    tokens: Sequence[int]
    told: bool


class CompletionReply(Reply):
    """Of text. What is echoed is the beginning of an answer, and the first event of a stream."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(self, model: str, token_text: TokenText, echo: Echo | None = None) -> None:
        super().__init__(model, token_text)
        self._echo = echo

    def chunk(self, piece: Piece, offset: int) -> bytes:
        return super().chunk(piece, offset + (len(self._echo.text) if self._echo else 0))

    def _opening(self, piece: Piece) -> bytes:
        if self._echo is None:
            return b""
        logprobs = self._logprobs(self._echoed(piece.prompt), 0)
        choice = self._choice(piece.index, self._part(self._echo.text), logprobs, None)
        return event(self._body(self.chunk_object, [choice]))

    def _all_logprobs(self, answer: Answer, tokens: Told) -> Json | None:
        return self._logprobs([*self._echoed(answer.prompt_logprobs), *tokens], 0)

    def _echoed(self, told: list[Logprob]) -> Told:
        """The prompt's tokens with what was told of them: nothing of the first."""
        if self._echo is None or not self._echo.told:
            return []
        return list(zip(self._echo.tokens, [None, *told], strict=True))

    def _full(self, text: str) -> Json:
        return {"text": self._echo.text + text if self._echo else text}

    def _part(self, text: str) -> Json:
        return {"text": text}

    def _logprobs(self, tokens: Told, offset: int) -> Json | None:
        if not tokens:
            return None
        texts = [self._token_text(token) for token, _ in tokens]
        return {
            "tokens": texts,
            "token_logprobs": [told and told.chosen for _, told in tokens],
            "top_logprobs": [told and self._top(text, told) for text, (_, told) in zip(texts, tokens, strict=True)],
            "text_offset": list(accumulate(map(len, texts[:-1]), initial=offset)),
        }

    def _top(self, text: str, told: Logprob) -> dict[str, float]:
        """By text. Of tokens that are written alike, as parts of characters are, the likeliest counts."""
        found = {text: told.chosen}
        for token, logprob in told.top:
            other = self._token_text(token)
            found[other] = max(logprob, found.get(other, logprob))
        return found


def usage_json(usage: Usage) -> Json:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
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
