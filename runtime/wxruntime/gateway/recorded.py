"""An answer as the cache keeps it: in the form in which it came; the other form is made of it only if that is exact."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import msgspec

from wxruntime.gateway.events import Splitter, data_of, is_usage

Json = dict[str, Any]

# Why a whole answer ends. Engines say "abort" or "error" where it is not whole.
WHOLE = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
DONE = b"data: [DONE]\n\n"
UNREADABLE = (msgspec.DecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A good, whole answer. A stream is three runs of events, so that its usage can be left out or put in."""

    stream: bool
    content_type: bytes
    body: bytes  # all of a whole answer; a stream's events before its usage
    usage: bytes  # a stream's usage event, or nothing
    tail: bytes  # a stream's events after that: [DONE]
    prompt_tokens: int
    completion_tokens: int
    stored: float  # time.time()

    def bytes_for(self, *, usage: bool) -> bytes:
        """What a client gets who asked for this form; with the usage event or without."""
        return self.body + self.usage + self.tail if usage else self.body + self.tail

    @property
    def memory(self) -> int:
        """Bytes that this takes in memory."""
        return OBJECT + sum(map(sys.getsizeof, (self.content_type, self.body, self.usage, self.tail)))


OBJECT = 240  # a Recorded without its bytes: the object, its floats and integers


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None


class _Told(msgspec.Struct):
    choices: list[_Choice] | None = None
    data: list[msgspec.Raw] | None = None  # embeddings
    error: Any = None


_told = msgspec.json.Decoder(_Told)


def whole(body: bytes, content_type: bytes, tokens: tuple[int, int], now: float) -> Recorded | None:
    """An answer with status 200 as it came; None when it is not good or not whole."""
    try:
        told = _told.decode(body)
    except UNREADABLE:
        return None
    if told.error is not None:
        return None
    if told.choices is not None:
        if not told.choices or any(choice.finish_reason not in WHOLE for choice in told.choices):
            return None
    elif not told.data:
        return None
    return Recorded(False, content_type, body, b"", b"", *tokens, now)


def stream(events: list[bytes], content_type: bytes, tokens: tuple[int, int], now: float) -> Recorded | None:
    """A stream's events as they came; None when it broke off, told an error, or left a choice open."""
    open_choices, ended, at = set[int](), False, None
    for index, event in enumerate(events):
        data = data_of(event)
        if ended:
            return None
        if data == b"[DONE]":
            ended = True
            continue
        if not data:  # a comment, or an event of another kind
            continue
        if at is None and is_usage(event):
            at = index
        try:
            told = _told.decode(data)
        except UNREADABLE:
            return None
        if told.error is not None:
            return None
        for choice in told.choices or ():
            if choice.finish_reason is None:
                open_choices.add(choice.index)
            elif choice.finish_reason in WHOLE:
                open_choices.discard(choice.index)
            else:
                return None
    if not ended or open_choices or len(events) < 2:
        return None
    before, usage, after = (events, b"", []) if at is None else (events[:at], events[at], events[at + 1 :])
    if at is None:
        before, after = events[:-1], events[-1:]
    return Recorded(True, content_type, b"".join(before), usage, b"".join(after), *tokens, now)


def other_form(answer: Recorded) -> Recorded | None:
    """The stream of a whole answer, or the whole answer of a stream. None where that would have to be guessed:

    only plain text converts. Tool calls, reasoning and log-probabilities do not, and no field that is not known here.
    """
    try:
        return _as_whole(answer) if answer.stream else _as_stream(answer)
    except (*UNREADABLE, LookupError, TypeError, AttributeError):
        return None


_TOP = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
_KINDS = {"chat.completion": "chat.completion.chunk", "text_completion": "text_completion"}
_CHUNKS = {chunk: kind for kind, chunk in _KINDS.items()}


def _as_stream(answer: Recorded) -> Recorded | None:
    whole = msgspec.json.decode(answer.body)
    if _unknown(whole, _TOP) or whole["object"] not in _KINDS or "usage" not in whole:
        return None
    head = {name: value for name, value in whole.items() if name not in ("choices", "usage")}
    head["object"] = _KINDS[whole["object"]]
    chunks = []
    for choice in whole["choices"]:
        if _unknown(choice, {"index", "finish_reason", "message", "text"}):
            return None
        index, reason = choice["index"], choice["finish_reason"]
        if "message" in choice:
            message = choice["message"]
            if _unknown(message, {"role", "content"}) or not isinstance(message["content"], str):
                return None
            opening = {"delta": {"role": message["role"], "content": ""}}
            pieces: list[Json] = [opening, {"delta": {"content": message["content"]}}, {"delta": {}}]
        else:
            pieces = [{"text": choice["text"]}, {"text": ""}]
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            chunks.append({"index": index, **piece, "logprobs": None, "finish_reason": reason if last else None})
    body = b"".join(_event({**head, "choices": [chunk]}) for chunk in chunks)
    usage = _event({**head, "choices": [], "usage": whole["usage"]})
    tokens = answer.prompt_tokens, answer.completion_tokens
    return Recorded(True, b"text/event-stream; charset=utf-8", body, usage, DONE, *tokens, answer.stored)


def _as_whole(answer: Recorded) -> Recorded | None:
    events = Splitter().feed(answer.body)
    chunks = [msgspec.json.decode(data) for data in map(data_of, events) if data]
    usage = msgspec.json.decode(data_of(answer.usage))["usage"] if answer.usage else None
    if usage is None or not chunks:
        return None
    first = chunks[0]
    kind = _CHUNKS[first["object"]]
    texts: dict[int, list[str]] = {}
    roles: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        if _unknown(chunk, _TOP) or chunk["object"] != first["object"]:
            return None
        for choice in chunk["choices"]:
            if _unknown(choice, {"index", "finish_reason", "delta", "text"}):
                return None
            index = choice["index"]
            delta = choice["delta"] if "delta" in choice else {"content": choice["text"]}
            if _unknown(delta, {"role", "content"}):
                return None
            texts.setdefault(index, []).append(delta.get("content") or "")
            if delta.get("role"):
                roles[index] = delta["role"]
            if choice.get("finish_reason"):
                reasons[index] = choice["finish_reason"]
    choices = []
    for index in sorted(texts):
        text = "".join(texts[index])
        made = {"text": text} if kind == "text_completion" else {"message": {"role": roles[index], "content": text}}
        choices.append({"index": index, **made, "logprobs": None, "finish_reason": reasons[index]})
    head = {name: value for name, value in first.items() if name not in ("choices", "usage")}
    body = msgspec.json.encode({**head, "object": kind, "choices": choices, "usage": usage})
    tokens = answer.prompt_tokens, answer.completion_tokens
    return Recorded(False, b"application/json", body, b"", b"", *tokens, answer.stored)


def _unknown(fields: Json, known: set[str]) -> bool:
    """Whether it says something that is not understood here."""
    return any(name not in known and value not in (None, [], {}) for name, value in fields.items())


def _event(body: Json) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
