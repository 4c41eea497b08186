"""Who waits: the most urgent first, clients in turn, a bounded number, and never longer than said."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from processes import LOCAL, Engine, Gateway, chat, model, until

from wxruntime.gateway.admission import Queue, Waiter


def waiter(client: str, priority: int = 5) -> Waiter:
    return Waiter(priority, client, None)  # type: ignore[arg-type]


def order(queue: Queue) -> list[str]:
    told = []
    while (each := queue.next()) is not None:
        told.append(each.client)
    return told


def filled(*clients: str, priority: int = 5) -> Queue:
    queue = Queue()
    for client in clients:
        queue.add(waiter(client, priority))
    return queue


def test_clients_take_turns() -> None:
    assert order(filled("a", "a", "a", "b", "c", "b")) == ["a", "b", "c", "a", "b", "a"]


def test_the_urgent_go_before_all_others() -> None:
    queue = filled("a", "a", priority=5)
    queue.add(waiter("b", 9))
    queue.add(waiter("c", 0))
    assert order(queue) == ["c", "a", "a", "b"]
    assert queue.length == 0


def test_in_a_full_queue_the_less_urgent_and_the_greedy_give_way() -> None:
    queue = filled("greedy", "greedy", "greedy", "modest")
    assert queue.gives_way_to(9, "late") is None
    assert queue.gives_way_to(5, "greedy") is None
    given = queue.gives_way_to(5, "new")
    assert given is not None and given.client == "greedy"
    assert queue.gives_way_to(4, "urgent") is not None
    queue.remove(given)
    queue.remove(given)
    assert queue.length == 3 and queue.count(5, "greedy") == 2
    assert filled("a", "b").gives_way_to(5, "a") is None


def client(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "api_keys": ["sha256:" + hashlib.sha256(name.encode()).hexdigest()], **fields}


def ask(gateway: Gateway, name: str, **headers: str) -> httpx.Response:
    with gateway.client(headers={"authorization": f"Bearer {name}", **headers}) as http:
        return http.post("/v1/chat/completions", json=chat(max_tokens=1))


def test_priorities_and_turns_hold_at_the_engine(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    slow = engine(first=0.15, replica={"concurrent": 1})
    clients = [client("urgent", priority=0), client("greedy"), client("modest"), LOCAL]
    running = gateway(models=[model(slow, probe="health")], clients=clients, admission={"queue": 100})
    until(running.ready, "ready")
    ended: list[str] = []

    def one(name: str) -> None:
        assert ask(running, name).status_code == 200
        ended.append(name)

    with ThreadPoolExecutor(20) as pool:
        for name, count in (("greedy", 10), ("modest", 3), ("urgent", 3)):
            waiting = running.metric("vllm:num_requests_waiting") + count - (name == "greedy")
            for _ in range(count):
                pool.submit(one, name)
            until(lambda wanted=waiting: running.metric("vllm:num_requests_waiting") >= wanted - 3, f"{name} waits")
    assert len(ended) == 16
    assert max(index for index, name in enumerate(ended) if name == "urgent") < 9
    assert max(index for index, name in enumerate(ended) if name == "modest") < 13, "not behind all of the greedy"


def test_a_full_queue_is_a_429_and_a_long_wait_a_503(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    slow = engine(first=1.5, replica={"concurrent": 1})
    running = gateway(models=[model(slow, probe="health")], admission={"queue": 2, "wait_seconds": 30})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(running, "x"), range(5)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200, 200, 200, 429, 429]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "queue_full" and int(refused.headers["retry-after"]) >= 1
        held = pool.submit(ask, running, "x")
        until(lambda: running.metric("vllm:num_requests_running") == 1, "one is under way")
        began = time.monotonic()
        late = ask(running, "x", **{"x-wxops-wait-seconds": "0.2"})
        assert late.json()["error"]["code"] == "queue_wait" and late.status_code == 503
        assert time.monotonic() - began < 1.4
        assert held.result().status_code == 200
    assert running.metric("vllm:num_requests_waiting") == running.metric("vllm:num_requests_running") == 0


def test_who_leaves_the_queue_takes_no_place(engine: Callable[..., Engine], gateway: Callable[..., Gateway]) -> None:
    slow = engine(first=1.0, replica={"concurrent": 1})
    running = gateway(models=[model(slow, probe="health")])
    with ThreadPoolExecutor(4) as pool:
        held = pool.submit(ask, running, "x")
        until(lambda: running.metric("vllm:num_requests_running") == 1, "one is under way")
        with running.client() as http, contextlib.suppress(httpx.ReadTimeout):
            http.post("/v1/chat/completions", json=chat(), timeout=0.3)
        until(lambda: running.metric("vllm:num_requests_waiting") == 0, "nobody waits")
        assert held.result().status_code == 200
    assert ask(running, "x").status_code == 200
    assert slow.seen()["requests"] == 2, "the one who left was never sent on"
