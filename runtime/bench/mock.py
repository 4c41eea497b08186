"""An engine of fixed speed, without a model: a raw asyncio server that answers as OpenAI's API does.

    python bench/mock.py --port 8000 --tokens 8 --first 0.02 --between 0.005 [--read 100000 --pool 400000]

What a request asks for in its `model` overrides nothing; these fields of its own in the body do:
{"mock": {"tokens": N, "first": S, "between": S, "cut_after": N, "status": N}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any, cast

import httptools
from prefill import Prefill


class Engine(asyncio.Protocol):
    """One connection."""

    def __init__(self, options: argparse.Namespace, seen: dict[str, Any]) -> None:
        self._options, self._seen = options, seen
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None and not self._task.done():
            self._seen["cancelled"] += 1
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._url == b"/seen":
            self._say(200, json.dumps(self._seen).encode())
        elif self._parser.get_method() == b"GET":
            self._say(200, b"{}")
        elif self._options.fixed:
            self._seen["requests"] += 1
            self._say(200, self._options.fixed)
        else:
            self._seen["requests"] += 1
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        asked = json.loads(self._body)
        told = {**vars(self._options), **asked.get("mock", {})}
        self._seen["running"] += 1
        try:
            if told.get("status"):
                self._say(told["status"], b'{"error": {"message": "as asked", "type": "server_error"}}')
                return
            limit = asked.get("max_tokens") or asked.get("max_completion_tokens") or told["tokens"]
            tokens = min(told["tokens"], limit)
            if self._options.prefill is not None:
                await self._options.prefill.read(asked, self._seen)
            await asyncio.sleep(told["first"])
            if asked.get("stream"):
                await self._stream(asked, tokens, told)
                return
            if tokens > 1:
                await asyncio.sleep(told["between"] * (tokens - 1))
            self._say(200, json.dumps(self._whole(asked, tokens)).encode())
        finally:
            self._seen["running"] -= 1

    async def _stream(self, asked: dict[str, Any], tokens: int, told: dict[str, Any]) -> None:
        write = self._transport.write
        write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for index in range(tokens):
            if index:
                await asyncio.sleep(told["between"])
            if index == told.get("cut_after"):
                self._transport.abort()
                return
            self._event(self._chunk(asked, [self._choice(asked, f"w{index} ", None)]))
        self._event(self._chunk(asked, [self._choice(asked, "", "stop")]))
        if (asked.get("stream_options") or {}).get("include_usage"):
            self._event(self._chunk(asked, []) | {"usage": usage(tokens)})
        write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    def _event(self, body: dict[str, Any]) -> None:
        event = b"data: " + json.dumps(body).encode() + b"\n\n"
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))

    def _chunk(self, asked: dict[str, Any], choices: list[Any]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if "messages" in asked else "text_completion"
        return {"id": "mock", "object": kind, "created": 1, "model": asked["model"], "choices": choices}

    @staticmethod
    def _choice(asked: dict[str, Any], text: str, reason: str | None) -> dict[str, Any]:
        said = {"delta": {"content": text}} if "messages" in asked else {"text": text}
        return {"index": 0, **said, "finish_reason": reason}

    def _whole(self, asked: dict[str, Any], tokens: int) -> dict[str, Any]:
        text = "".join(f"w{index} " for index in range(tokens))
        base = {
            "id": "mock",
            "created": 1,
            "model": asked["model"],
            "usage": usage(tokens),
            "engine": self._options.name,
        }
        if "input" in asked:
            return base | {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]}
        if "messages" in asked and asked.get("tools"):
            called = {"name": asked["tools"][0]["function"]["name"], "arguments": '{"city": "北京"}'}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
            }
            return base | {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            }
        if "messages" in asked:
            message = {"role": "assistant", "content": text}
            return base | {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
        return base | {"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}

    def _say(self, status: int, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": tokens + 5}


async def serve(options: argparse.Namespace) -> None:
    seen = {"requests": 0, "cancelled": 0, "running": 0, "asked": 0, "found": 0, "started": time.time()}
    server = await asyncio.get_running_loop().create_server(lambda: Engine(options, seen), options.host, options.port)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="mock")
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--first", type=float, default=0.0, help="seconds to the first token")
    parser.add_argument("--between", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--status", type=int, default=0, help="answer every request with this error")
    parser.add_argument("--fixed", type=int, default=0, help="answer every request with this many bytes, at once")
    parser.add_argument("--read", type=float, default=0, help="characters of a prompt read in a second; 0: no time")
    parser.add_argument("--pool", type=int, default=0, help="characters of prompts that its prefix cache holds")
    options = parser.parse_args()
    options.prefill = Prefill(options.read, options.pool) if options.read else None
    if options.fixed:
        text = "x" * max(0, options.fixed - 170)
        body = {
            "id": "mock", "object": "chat.completion", "created": 1, "model": "mock", "usage": usage(8),
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        }  # fmt: skip
        options.fixed = json.dumps(body).encode()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
