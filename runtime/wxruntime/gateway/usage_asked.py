"""Tokens are known of every stream: engines are asked for the usage event, which goes on only to clients who asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from wxruntime.gateway.events import Splitter, is_usage
from wxruntime.gateway.exchange import Answer, Asked, Call, StreamOptions
from wxruntime.gateway.pipeline import Proceed

ROUTES = frozenset({"chat", "completion"})
_OPTION = b'"stream_options":{"include_usage":true},'


def wants_usage(asked: Asked) -> bool:
    return asked.stream_options is not None and bool(asked.stream_options.include_usage)


def with_usage(call: Call) -> Call:
    """The call, or one like it that asks for usage; all else in its body stays as it is, byte for byte if it can."""
    asked = call.asked
    if not call.streaming or call.route not in ROUTES or wants_usage(asked):
        return call
    if asked.stream_options is None and b'"stream_options"' not in call.body:
        start = call.body.index(b"{") + 1
        body = call.body[:start] + _OPTION + call.body[start:]
    else:
        fields: dict[str, Any] = msgspec.json.decode(call.body)
        fields["stream_options"] = {**(fields.get("stream_options") or {}), "include_usage": True}
        body = msgspec.json.encode(fields)
    return replace(call, body=body, asked=msgspec.structs.replace(asked, stream_options=StreamOptions(True)))


async def ask_for_usage(call: Call, proceed: Proceed) -> Answer:
    """The stage. What it notes on the call is the caller's own: only body and wishes change, and only upstream."""
    changed = with_usage(call)
    if changed is call:
        return await proceed(call)
    body, asked = call.body, call.asked
    call.body, call.asked = changed.body, changed.asked
    try:
        answer = await proceed(call)
    finally:
        call.body, call.asked = body, asked
    if answer.stream is not None:
        answer.stream = _without_usage(answer.stream)
    return answer


async def _without_usage(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The stream byte for byte, but for its usage event. An event goes on when it is complete."""
    splitter = Splitter()
    async with aclosing(stream):
        async for piece in stream:
            if not splitter.held and piece.endswith(b"\n\n") and b'"usage"' not in piece:
                yield piece  # nearly all: whole events, and none of them it
            elif kept := b"".join(each for each in splitter.feed(piece) if not is_usage(each)):
                yield kept
    if rest := splitter.end():
        yield rest
