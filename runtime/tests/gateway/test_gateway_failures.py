"""What breaks behind the gateway: every client gets a whole answer or an honest error, and the metrics tell of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
from processes import Engine, Gateway, chat, events, model, said, until

QUICK: dict[str, Any] = {
    "breaker": {"failures": 3, "open_seconds": 0.3, "open_seconds_limit": 1},
    "health": {"interval_seconds": 0.5, "timeout_seconds": 1.0, "misses": 2},
    "upstream": {"first_token_seconds": 20, "between_tokens_seconds": 2, "connect_seconds": 5},
}
WHOLE = "w0 w1 w2 w3 w4 w5 w6 w7 "


class Load:
    """Clients that ask one question after the other until they are told to stop."""

    def __init__(self, gateway: Gateway, clients: int = 4) -> None:
        self._stop = threading.Event()
        self.seen: Counter[str] = Counter()
        self._gateway = gateway
        self._threads = [threading.Thread(target=self._ask, args=(bool(each % 2),)) for each in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, stream: bool) -> None:
        with self._gateway.client() as client:
            while not self._stop.is_set():
                try:
                    self.seen[self._one(client, stream)] += 1
                except Exception as error:
                    self.seen[f"LOST {error!r}"] += 1

    def _one(self, client: httpx.Client, stream: bool) -> str:
        answer = client.post("/v1/chat/completions", json=chat(stream=stream))
        if answer.status_code != 200:
            return f"error {answer.json()['error']['code']}"
        if not stream:
            return "whole" if answer.json()["choices"][0]["message"]["content"] == WHOLE else f"CUT {answer.text}"
        told = events(answer.content)
        if told[-1] != "[DONE]":
            return f"SILENT {answer.text[-100:]}"
        if "error" in told[-2]:
            return f"broken {told[-2]['error']['code']}"
        return "whole" if said(answer.content) == WHOLE else f"CUT {answer.text}"

    def stop(self) -> Counter[str]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.seen

    def more(self, count: int) -> None:
        """Wait for so many more whole answers."""
        wanted = self.seen["whole"] + count
        until(lambda: self.seen["whole"] >= wanted, f"{count} more answers: {self.seen}")


def honest(seen: Counter[str]) -> bool:
    return all(each.split()[0] in ("whole", "error", "broken") for each in seen)


def test_a_killed_replica_costs_no_client_its_answer(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    first, second = engine(between=0.005), engine(between=0.005)
    running = gateway(models=[model(first, second)], **QUICK)
    until(running.ready, "ready")
    load = Load(running)
    load.more(20)
    first.stop()
    until(lambda: running.metric("wxops_gateway_breaker_state", replica=first.url) == 2, "its breaker opens")
    load.more(20)
    first.start()
    until(lambda: running.metric("wxops_gateway_breaker_state", replica=first.url) == 0, "its breaker closes again")
    load.more(20)
    seen = load.stop()
    assert honest(seen), seen
    assert set(seen) <= {"whole", "broken upstream"}, "what had not begun was answered by the other replica"
    assert running.metric("wxops_gateway_breaker_changes_total", replica=first.url, state="half-open") >= 1


def test_a_frozen_replica_is_left_and_those_who_wait_for_it_go_elsewhere(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    first, second = engine(), engine()
    running = gateway(models=[model(first, second)], **QUICK)
    until(running.ready, "ready")
    load = Load(running, clients=2)
    load.more(10)
    first.freeze()
    began = time.monotonic()
    until(lambda: running.metric("wxops_gateway_breaker_state", replica=first.url) != 0, "its breaker opens")
    load.more(10)
    assert time.monotonic() - began < 15, "long before upstream.first_token_seconds"
    first.thaw()
    until(lambda: running.metric("wxops_gateway_breaker_state", replica=first.url) == 0, "its breaker closes again")
    seen = load.stop()
    assert honest(seen), seen
    assert seen["whole"] >= 20


def test_a_slow_replica_gets_less_to_do(engine: Callable[..., Engine], gateway: Callable[..., Gateway]) -> None:
    slow, fast = engine(first=0.5), engine()
    running = gateway(models=[model(slow, fast)])
    load = Load(running)
    load.more(40)
    assert set(load.stop()) == {"whole"}
    assert slow.seen()["requests"] * 3 < fast.seen()["requests"]


def test_a_replica_that_answers_500_is_tried_and_left(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    broken, good = engine(status=500), engine()
    running = gateway(models=[model(broken, good)], **QUICK)
    answers = [running.chat() for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 12
    assert running.metric("wxops_gateway_breaker_state", replica=broken.url) != 0


def test_all_replicas_out_is_a_503_that_says_when_to_come_back(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    only = engine()
    running = gateway(models=[model(only)], **QUICK)
    until(running.ready, "ready")
    only.stop()
    until(lambda: not running.ready(), "not ready")
    answer = running.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_replica")
    assert int(answer.headers["retry-after"]) >= 1
    only.start()
    until(running.ready, "ready again")
    assert running.chat().status_code == 200


def test_a_stream_that_breaks_ends_with_an_error_event_and_done_and_is_not_begun_anew(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    first, second = engine(), engine()
    running = gateway(models=[model(first, second)])
    told = events(running.chat(stream=True, mock={"cut_after": 3}).content)
    assert told[-1] == "[DONE]"
    assert told[-2]["error"]["code"] == "upstream"
    assert len(told) == 5, "three tokens, the error, the end"
    probes = 2
    assert first.seen()["requests"] + second.seen()["requests"] - probes <= 1
    assert running.metric("wxops_gateway_calls_total", outcome="broken") == 1


def test_a_stream_that_stands_still_is_ended(engine: Callable[..., Engine], gateway: Callable[..., Gateway]) -> None:
    running = gateway(models=[model(engine(between=30))], upstream={"between_tokens_seconds": 0.5})
    told = events(running.chat(stream=True).content)
    assert "no next token in time" in told[-2]["error"]["message"]
    assert told[-1] == "[DONE]"


def test_the_spare_takes_over_is_named_and_hands_back(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    main, spare = engine(name="main"), engine(name="spare")
    running = gateway(models=[model(main, emergency=[spare])], **QUICK)
    until(running.ready, "ready")
    first = running.chat()
    assert first.json()["engine"] == "main"
    assert "x-wxops-engine" not in first.headers
    load = Load(running)
    load.more(10)
    main.stop()
    until(lambda: running.metric("wxops_gateway_emergency", model="m") == 1, "an emergency")
    answer = running.chat()
    assert answer.json()["engine"] == "spare"
    assert answer.json()["model"] == "small", "it was asked for under its own name"
    assert answer.headers["x-wxops-engine"] == "emergency"
    assert running.ready()
    load.more(10)
    main.start()
    until(lambda: running.metric("wxops_gateway_emergency", model="m") == 0, "the emergency is over")
    assert running.chat().json()["engine"] == "main"
    seen = load.stop()
    assert set(seen) <= {"whole", "broken upstream"}, seen
    assert running.metric("wxops_gateway_calls_total", engine="emergency") > 1


def test_a_client_that_leaves_cancels_its_call_upstream(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    busy = engine(first=30)
    running = gateway(models=[model(busy, probe="health")])
    for stream in (False, True):
        before = busy.seen()["cancelled"]
        with contextlib.suppress(httpx.ReadTimeout), running.client() as client:
            client.post("/v1/chat/completions", json=chat(stream=stream), timeout=0.5)
        until(lambda before=before: busy.seen()["cancelled"] == before + 1, "the engine saw its client leave")
    assert busy.seen()["running"] == 0
    until(lambda: running.metric("wxops_gateway_calls_total", outcome="left") == 2, "both are counted")
    assert running.metric("wxops_gateway_replica_running", replica=busy.url) == 0


def test_a_connection_that_the_replica_closed_meanwhile_is_no_failure(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    only = engine()
    running = gateway(models=[model(only, probe="health")], health={"interval_seconds": 60})
    assert running.chat().status_code == 200
    only.stop()
    only.start()
    assert running.chat().status_code == 200
    assert running.metric("wxops_gateway_breaker_changes_total") == 0


def test_a_replica_taken_out_of_the_file_ends_its_answers_under_the_same_limits(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    old, new = engine(between=0.3), engine()
    still = {"upstream": {"between_tokens_seconds": 1.0}}
    running = gateway(models=[model(old, probe="health")], **still)
    with running.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
            pieces = answer.iter_bytes()
            first = next(pieces)
            running.reload({"models": [model(new, probe="health")], **still})
            assert said(first + b"".join(pieces)) == WHOLE
        with client.stream("POST", "/v1/chat/completions", json=chat(stream=True, mock={"between": 30})) as answer:
            pieces = answer.iter_bytes()
            first = next(pieces)
            running.reload({"models": [model(old, probe="health")], **still})
            assert "no next token in time" in events(first + b"".join(pieces))[-2]["error"]["message"]
    assert running.chat().status_code == 200
