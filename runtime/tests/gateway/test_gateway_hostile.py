"""What no good client does: slow, huge, malformed and endless requests are refused, logged, and cost nobody else."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from processes import Engine, Gateway, chat, model, until

ASK = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
GOOD = json.dumps(chat()).encode()


@pytest.fixture(scope="module")
def running(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    limits = {
        "body_bytes": 1_000_000,
        "header_bytes": 16_384,
        "header_seconds": 1.0,
        "body_seconds": 1.5,
        "idle_seconds": 2.0,
        "write_seconds": 1.5,
    }
    settings = {"models": [model(shared_engine, aliases=["alias"])], "requests": limits}
    gateway = Gateway(tmp_path_factory.mktemp("hostile"), settings | {"listen": {"port": 0, "probes": {"port": 0}}})
    until(gateway.ready, "ready")
    yield gateway
    assert gateway.chat().status_code == 200, "after all that, it answers"
    assert "traceback" not in gateway.log().lower()
    gateway.stop()


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=30)


def rest(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    told = b""
    try:
        while piece := client.recv(65536):
            told += piece
    except ConnectionResetError:
        pass
    return told


def status(told: bytes) -> int:
    return int(told.split()[1])


def raw(gateway: Gateway, *pieces: bytes) -> bytes:
    with connect(gateway) as client:
        for piece in pieces:
            client.sendall(piece)
        return rest(client)


def framed(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return ASK + lines + b"content-length: %d\r\n\r\n" % len(body) + body


REFUSED = {
    "no json": (400, framed(b'{"model": "m", "messages": [')),
    "not an object": (400, framed(b"[1, 2]")),
    "no model": (400, framed(b'{"messages": []}')),
    "a model that is a number": (400, framed(b'{"model": 1}')),
    "not utf-8": (400, framed(b'{"model": "\xff\xfe"}')),
    "nested too deep": (400, framed(b'{"model": "m", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")),
    "empty": (400, framed(b"")),
    "no http": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"),
    "http/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "length and chunks": (400, ASK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, ASK + b"content-length: 5\r\ncontent-length: 6\r\n\r\n12345"),
    "a negative length": (400, ASK + b"content-length: -1\r\n\r\n"),
    "a bad chunk": (400, ASK + b"transfer-encoding: chunked\r\n\r\nzz\r\n"),
    "a coding beside chunks": (400, ASK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a header with a line break": (400, ASK + b"x: a\rb: c\r\n\r\n"),
    "an upgrade": (400, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    "a wrong wait": (400, framed(GOOD, b"x-wxops-wait-seconds: soon")),
    "one huge header": (431, ASK + b"x: " + b"a" * 20_000 + b"\r\n\r\n"),
    "many headers": (431, ASK + b"".join(b"x-%d: y\r\n" % each for each in range(5000)) + b"\r\n"),
    "a header without an end": (431, ASK + b"x: " + b"a" * 20_000),
    "a huge address": (431, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"),
    "another method": (405, b"DELETE /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
    "no such path": (404, b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_is_refused_in_openais_shape(running: Gateway, name: str) -> None:
    wanted, sent = REFUSED[name]
    with connect(running) as client:
        client.sendall(sent)
        told = client.recv(65536)
    head, _, body = told.partition(b"\r\n\r\n")
    assert status(head) == wanted, told
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    logged = running.events()[-1]
    assert (logged["event"], logged["code"], logged["address"]) == ("refused", error["code"], "127.0.0.1")


UNWRITABLE = [b'"x": "\xff"', b'"x": 1e999', b'"stream": true, "stream_options": {}, "x": 1e999']


@pytest.mark.parametrize("field", UNWRITABLE)
def test_what_is_found_unreadable_only_when_a_body_is_written_anew_is_refused_as_well(
    running: Gateway, field: bytes
) -> None:
    told = raw(running, framed(b'{"model": "alias", ' + field + b"}", b"connection: close"))
    assert status(told) == 400 and b'"malformed_json"' in told


def test_a_10_mb_prompt_is_refused_before_it_has_come(running: Gateway) -> None:
    with connect(running) as client:
        client.sendall(ASK + b"content-length: 10000000\r\n\r\n")
        assert status(client.recv(65536)) == 413
    body = json.dumps(chat("x" * 10_000_000)).encode()
    with connect(running) as client:
        sender = threading.Thread(target=_send, args=(client, framed(body)))
        sender.start()
        assert status(rest(client)) == 413, "and the client that sends it at once can read why"
        sender.join()


def _send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def test_chunks_without_an_end_are_refused_at_the_same_size(running: Gateway) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with connect(running) as client:
        sender = threading.Thread(
            target=_send, args=(client, ASK + b"transfer-encoding: chunked\r\n\r\n" + chunk * 100)
        )
        sender.start()
        assert status(rest(client)) == 413
        sender.join()


def test_trailers_are_no_headers_and_have_an_end(running: Gateway) -> None:
    whole = ASK + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(GOOD), GOOD)
    told = raw(running, whole + b"x-request-id: trailer\r\nx-wxops-wait-seconds: soon\r\n\r\n")
    assert status(told) == 200 and b"trailer" not in told
    with connect(running) as client:
        sender = threading.Thread(target=_send, args=(client, whole + b"x: " + b"y" * 2_000_000))
        sender.start()
        assert status(rest(client)) == 431
        sender.join()


def test_what_is_sent_behind_the_last_answer_is_not_done(running: Gateway, shared_engine: Engine) -> None:
    before = shared_engine.seen()["requests"]
    told = raw(running, b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n" + framed(GOOD))
    assert status(told) == 404 and told.count(b"\r\n\r\n") == 1
    told = raw(running, framed(GOOD, b"connection: close") + framed(GOOD))
    assert status(told) == 200 and told.count(b"\r\n\r\n") == 1
    assert shared_engine.seen()["requests"] == before + 1


def test_slow_headers_and_slow_bodies_end_in_time(running: Gateway) -> None:
    def drip(text: bytes) -> tuple[float, bytes]:
        with connect(running) as client:
            began = time.monotonic()
            client.settimeout(0.2)
            for index in range(200):
                try:
                    client.sendall(text[index % len(text) : index % len(text) + 1])
                    told = client.recv(65536)
                    return time.monotonic() - began, told
                except TimeoutError:
                    continue
                except OSError:
                    return time.monotonic() - began, b""
        raise AssertionError("it waited for 40 seconds")

    seconds, told = drip(b"GET /v1/models HTTP/1.1\r\nx: " + b"a" * 500)
    assert status(told) == 408 and seconds < 15
    with connect(running) as client:
        client.sendall(ASK + b"content-length: 500\r\n\r\n{")
        began = time.monotonic()
        assert status(client.recv(65536)) == 408 and time.monotonic() - began < 15
    logged = {event.get("code") for event in running.events()}
    assert {"slow_headers", "slow_body"} <= logged
    with connect(running) as client:
        assert rest(client) == b"", "who says nothing is sent away in silence"


def test_a_hundred_slow_clients_keep_nobody_waiting(running: Gateway) -> None:
    slow = [connect(running) for _ in range(100)]
    for client in slow:
        client.sendall(b"GET /v1/models HTTP/1.1\r\nx: ")
    assert running.chat().status_code == 200
    for client in slow:
        assert status(rest(client)) == 408
        client.close()


def test_who_does_not_read_is_cut_off(running: Gateway) -> None:
    with connect(running) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps(chat(stream=True, mock={"tokens": 100_000, "between": 0.0})).encode()
        client.sendall(framed(body))
        until(
            lambda: any(event.get("code") == "slow_reader" for event in running.events()),
            "the slow reader is sent away",
        )
    until(lambda: running.metric("wxops_gateway_replica_running") == 0, "and its call is over")
    assert running.metric("wxops_gateway_calls_total", outcome="left") == 1


def test_pipelined_requests_are_answered_in_order(running: Gateway) -> None:
    first = framed(json.dumps(chat(mock={"first": 0.3, "tokens": 1})).encode())
    second = framed(json.dumps(chat(mock={"tokens": 2})).encode())
    last = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    for pieces in ((first + second + last,), (first + second[:40], second[40:-3], second[-3:] + last)):
        told = raw(running, *pieces)
        places = [told.index(each) for each in (b'"w0 "', b'"w0 w1 "', b'"object":"list"')]
        assert places == sorted(places) and told.count(b"HTTP/1.1 200") == 3


def test_a_request_cut_anywhere_is_the_same_request(running: Gateway) -> None:
    whole = framed(GOOD, b"connection: close")
    for cut in range(1, len(whole), 7):
        with connect(running) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(whole[:cut])
            client.sendall(whole[cut:])
            assert status(rest(client)) == 200


def test_expect_100_continue_http_1_0_and_head(running: Gateway) -> None:
    with connect(running) as client:
        client.sendall(ASK + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(GOOD))
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(GOOD)
        assert status(client.recv(65536)) == 200
    told = raw(running, b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(GOOD) + GOOD)
    assert status(told) == 200 and b"connection: close" in told
    streamed = json.dumps(chat(stream=True)).encode()
    told = raw(running, b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(streamed) + streamed)
    assert told.endswith(b"data: [DONE]\n\n") and b"chunked" not in told
    told = raw(running, b"HEAD /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert status(told) == 405 and told.endswith(b"\r\n\r\n")
