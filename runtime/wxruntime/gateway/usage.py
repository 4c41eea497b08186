"""How many tokens an answer took: read from its usage where the engine tells it, else counted by what passed."""

from __future__ import annotations

import re

import msgspec

from wxruntime.gateway.exchange import Usage


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Told(msgspec.Struct):
    usage: _Tokens | None = None


_decoder = msgspec.json.Decoder(_Told)
_END = re.compile(rb"\r?\n\r?\n|\r\r")
LONGEST = 65536  # an event beyond this is not looked into


def usage_of(body: bytes, usage: Usage) -> None:
    """Fill `usage` from an answer or a stream's chunk; left alone where it says nothing."""
    try:
        told = _decoder.decode(body).usage
    except msgspec.DecodeError:
        return
    if told is not None:
        usage.prompt, usage.completion, usage.exact = told.prompt_tokens, told.completion_tokens, True


class StreamUsage:
    """Follows a stream's events, wherever the pieces are cut: counts them, and reads the usage if there is one."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._rest = b""
        self.done = False  # [DONE] has come

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece if self._rest else piece
        parts = _END.split(data) if b"\r" in data else data.split(b"\n\n")
        rest = parts.pop()
        self._rest = rest if len(rest) <= LONGEST else rest[-LONGEST:]
        for event in parts:
            self._event(event)

    def end(self) -> None:
        """The stream is over; an event without its empty line counts, too."""
        if self._rest.strip():
            self._event(self._rest)

    @property
    def border(self) -> bytes:
        """What must come before another event: the end of the one that broke off."""
        return b"\n\n" if self._rest.strip() else b""

    def _event(self, event: bytes) -> None:
        if event.startswith(b"data:"):
            if event[5:].strip() == b"[DONE]":
                self.done = True
                return
            if not self._usage.exact:
                self._usage.completion += 1
            if b'"usage":{' in event or b'"usage": {' in event:
                usage_of(event[5:].strip(), self._usage)
