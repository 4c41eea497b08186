"""SIGTERM: not ready at once, what is under way ends in peace or in words, then exit 0."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from processes import Engine, Gateway, chat, events, get, model, said, until


def ask_in_a_thread(gateway: Gateway, stream: bool, answers: list[httpx.Response]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(gateway.chat(stream=stream)))
    thread.start()
    return thread


def test_a_drain_lets_answers_end_and_takes_no_new_ones(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    running = gateway(models=[model(engine(first=1.0, between=0.1))], listen={"port": 0, "probes": {"port": 0}})
    until(running.ready, "ready")
    answers: list[httpx.Response] = []
    threads = [ask_in_a_thread(running, stream, answers) for stream in (False, True)]
    until(lambda: running.metric("vllm:num_requests_running", model_name="m") == 2, "both are under way")
    running.process.send_signal(signal.SIGTERM)
    until(lambda: get(f"{running.probes}/ready").json()["status"] == "draining", "not ready", 5)
    refused = running.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert "retry-after" in refused.headers
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert any(answer.content.endswith(b"data: [DONE]\n\n") and said(answer.content) for answer in answers)
    assert running.process.wait(20) == 0


def test_a_request_that_has_begun_to_come_is_still_answered(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    running = gateway(models=[model(engine())])
    body = json.dumps(chat()).encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        client.sendall(head + body[:10])
        until(lambda: running.chat().status_code == 200, "it has been read")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in running.log(), "it drains")
        client.sendall(body[10:])
        told = b"".join(iter(lambda: client.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 200") and b"connection: close" in told
    assert running.process.wait(20) == 0


@pytest.mark.parametrize("second_signal", [False, True])
def test_an_answer_that_takes_too_long_is_ended_in_words_and_a_second_signal_ends_at_once(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], second_signal: bool
) -> None:
    running = gateway(models=[model(engine(between=0.5, tokens=1000))], drain_seconds=60 if second_signal else 1)
    with running.client() as client, client.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        running.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in running.log(), "it drains")
        if second_signal:
            began = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
            assert time.monotonic() - began < 20
        else:
            told = events(b"".join(pieces))
            assert told[-2]["error"]["code"] == "draining" and told[-1] == "[DONE]"
    assert running.process.wait(20) == 0
