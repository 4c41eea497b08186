"""What a stream sends, and when: its status with the first chunk, its last chunk with all that ends it."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fake import MODEL, Scripted, engine_over, text_of

from wxruntime.checkpoint import read_checkpoint
from wxruntime.engine.metrics import Metrics
from wxruntime.engine.replies import CompletionReply
from wxruntime.engine.routes import Api
from wxruntime.engine.service import CLIENT_LEFT, Service
from wxruntime.sampling import Sampling
from wxruntime.tokenizer import TextTokenizer

TEXT = "谢谢，不客气。"


def broken() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def sent(
    tiny: Path,
    fails_after: int | None = None,
    made: int | None = None,
    messages: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The ASGI messages of one stream over a backend that says TEXT, and fails after so many steps.

    messages: where they are put as they are sent, for who sees the server raise.
    """
    checkpoint = read_checkpoint(tiny)
    tokenizer = TextTokenizer(checkpoint)
    backend = Scripted(tokenizer.encode(TEXT))
    asked = {"model": MODEL, "prompt": [1], "max_tokens": made or len(backend.script), "stream": True}
    body = json.dumps(
        asked | {"temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True}}
    ).encode()
    messages = [] if messages is None else messages
    step, heard = 0, threading.Event()

    def fault() -> None:
        nonlocal step
        step += 1
        if fails_after is not None and step > fails_after:
            assert not fails_after or heard.wait(20)
            broken()

    async def test() -> None:
        async with engine_over(backend, tokenizer.tokens) as engine:
            app = Api(Service(engine, checkpoint, tokenizer, Metrics(MODEL), (MODEL,), stall_s=60)).app()
            backend.fault = fault
            requests = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive() -> Any:
                request = next(requests, None)
                return request if request is not None else await asyncio.Event().wait()

            async def send(message: Any) -> None:
                messages.append(message)
                if message["type"] == "http.response.body":
                    heard.set()

            scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
            await app(scope, receive, send)

    asyncio.run(asyncio.wait_for(test(), 60))
    return messages


def test_the_last_chunk_leaves_with_the_usage_and_the_end(tiny: Path) -> None:
    begin, *chunks, last = sent(tiny)
    assert (begin["type"], begin["status"]) == ("http.response.start", 200)
    assert all(chunk["more_body"] for chunk in chunks) and not last.get("more_body")
    *events, done, rest = last["body"].decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    final, usage = (json.loads(each.removeprefix("data: ")) for each in events)
    assert final["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["completion_tokens"] > 1
    texts = [
        json.loads(line.removeprefix("data: "))
        for chunk in chunks
        for line in chunk["body"].decode().split("\n\n")[:-1]
    ]
    assert "".join(each["choices"][0]["text"] for each in [*texts, final]) == TEXT


def test_an_answer_of_one_token_is_one_write_after_its_status(tiny: Path) -> None:
    assert [message["type"] for message in sent(tiny, made=1)] == ["http.response.start", "http.response.body"]


def test_a_failure_before_the_first_chunk_is_a_500(tiny: Path) -> None:
    begin, body = sent(tiny, fails_after=0)
    assert begin["status"] == 500
    assert json.loads(body["body"])["error"]["type"] == "server_error"


def test_a_fault_of_the_server_before_the_first_chunk_has_openais_shape(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> bytes:
        raise KeyError("a fault of ours")

    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(CompletionReply, "chunk", fault)
    with pytest.raises(KeyError, match="a fault of ours"):
        sent(tiny, messages=messages)
    begin, body = messages
    assert begin["status"] == 500
    assert json.loads(body["body"])["error"] == {
        "message": "internal error",
        "type": "server_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize"])
def test_a_client_that_leaves_in_the_midst_of_its_request_is_no_fault(tiny: Path, path: str) -> None:
    checkpoint = read_checkpoint(tiny)
    tokenizer, messages = TextTokenizer(checkpoint), list[dict[str, Any]]()
    received = iter([{"type": "http.request", "body": b'{"model":', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        messages.append(message)

    async def test() -> None:
        async with engine_over(Scripted([1]), tokenizer.tokens) as engine:
            app = Api(Service(engine, checkpoint, tokenizer, Metrics(MODEL), (MODEL,), stall_s=60)).app()
            scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
            await app(scope, receive, send)

    asyncio.run(asyncio.wait_for(test(), 60))
    assert messages[0]["status"] == CLIENT_LEFT


def test_a_failure_on_the_way_is_an_event_and_the_stream_ends(tiny: Path) -> None:
    begin, *_, last = sent(tiny, fails_after=2)
    assert begin["status"] == 200
    failure, done, _ = last["body"].decode().split("\n\n")
    assert json.loads(failure.removeprefix("data: "))["error"]["type"] == "server_error"
    assert done == "data: [DONE]"


@pytest.mark.parametrize("streams", [1, 15, 16, 17, 100])
def test_requests_that_come_together_are_all_answered_in_their_order(tiny: Path, streams: int) -> None:
    tokenizer = TextTokenizer(read_checkpoint(tiny))
    backend = Scripted(tokenizer.encode(TEXT), max_sequences=streams)

    async def test() -> None:
        async with engine_over(backend, tokenizer.tokens) as engine:
            sampling = Sampling(max_tokens=len(backend.script), temperature=0)
            asked = [engine.submit([1], [sampling]) for _ in range(streams)]
            assert await asyncio.gather(*map(text_of, asked)) == [TEXT] * streams

    asyncio.run(asyncio.wait_for(test(), 60))
    begun = list(dict.fromkeys(id_ for step in backend.stepped for id_ in step))
    assert begun == sorted(begun) and len(begun) == streams
