"""What goes out: whole answers, and the chunks of a stream, of which all that stays the same is written once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from uuid import uuid4

from wxruntime.backends.base import Logprob
from wxruntime.engine.generation import FinishReason, Generation, Piece, Usage
from wxruntime.engine.openai import Json

DONE = b"data: [DONE]\n\n"
# A place in a chunk's JSON where something is put in later; no other string of it can be this.
_TEXT, _LOGPROBS, _REASON = "\x00text", "\x00logprobs", "\x00reason"

TokenText = Callable[[int], str]


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
        self._model, self._created, self._token_text = model, int(time.time()), token_text
        self._frames: dict[int, tuple[str, str, str]] = {}

    def whole(self, texts: list[str], tokens: list[list[tuple[int, Logprob]]], generation: Generation) -> Json:
        choices = [
            self._choice(answer.index, self._full(text), self._logprobs(told, 0), answer.finish_reason)
            for answer, text, told in zip(generation.answers, texts, tokens, strict=True)
        ]
        return self._body(self.whole_object, choices) | {"usage": usage_json(generation.usage)}

    def chunk(self, piece: Piece, offset: int) -> bytes:
        """The events for what is new of an answer; `offset` is the length of the text before."""
        opening = self._opening(piece.index) if piece.first else b""
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

    def _opening(self, index: int) -> bytes:
        """What comes before any text."""
        return b""

    def _body(self, kind: str, choices: list[Json]) -> Json:
        return {"id": self.id, "object": kind, "created": self._created, "model": self._model, "choices": choices}

    def _choice(self, index: int, content: Json, logprobs: object, reason: FinishReason | str | None) -> Json:
        return {"index": index, **content, "logprobs": logprobs, "finish_reason": reason}

    def _full(self, text: str) -> Json:
        raise NotImplementedError

    def _part(self, text: str) -> Json:
        raise NotImplementedError

    def _logprobs(self, tokens: list[tuple[int, Logprob]], offset: int) -> Json | None:
        raise NotImplementedError


class ChatReply(Reply):
    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def _opening(self, index: int) -> bytes:
        delta = {"delta": {"role": "assistant", "content": ""}}
        return event(self._body(self.chunk_object, [self._choice(index, delta, None, None)]))

    def _full(self, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text}}

    def _part(self, text: str) -> Json:
        return {"delta": {"content": text}}

    def _logprobs(self, tokens: list[tuple[int, Logprob]], offset: int) -> Json | None:
        if not tokens:
            return None
        content = [
            self._told(token, told.chosen) | {"top_logprobs": [self._told(*each) for each in told.top]}
            for token, told in tokens
        ]
        return {"content": content}

    def _told(self, token: int, logprob: float) -> Json:
        text = self._token_text(token)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


class CompletionReply(Reply):
    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def _full(self, text: str) -> Json:
        return {"text": text}

    def _part(self, text: str) -> Json:
        return {"text": text}

    def _logprobs(self, tokens: list[tuple[int, Logprob]], offset: int) -> Json | None:
        if not tokens:
            return None
        texts = [self._token_text(token) for token, _ in tokens]
        offsets = [offset + sum(map(len, texts[:at])) for at in range(len(texts))]
        top = [
            {text: told.chosen} | {self._token_text(other): logprob for other, logprob in told.top}
            for text, (_, told) in zip(texts, tokens, strict=True)
        ]
        return {
            "tokens": texts,
            "token_logprobs": [told.chosen for _, told in tokens],
            "top_logprobs": top,
            "text_offset": offsets,
        }


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
