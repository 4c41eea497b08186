"""A task's items on the wire: together as long as they fit, apart when they do not, and in their order either way."""

from __future__ import annotations

import json
import sys

import pytest

from wxops.agent import wire
from wxops.transport import messages
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.messages import task_messages
from wxops.transport.options import ConnectionOptions

HERE = ConnectionOptions("here", "localhost", connection="local", interpreters=(sys.executable,))
ITEMS = [{"path": f"/{number}{'x' * 50}"} for number in range(10)]


def test_items_that_fit_are_one_message() -> None:
    ((first, frame),) = task_messages("stat", ITEMS, {"task": "a task"})
    length, kind = wire.HEADER.unpack(frame[: wire.HEADER.size])
    assert (first, length, chr(kind)) == (0, len(frame) - wire.HEADER.size, "T")
    assert json.loads(frame[wire.HEADER.size :]) == {"module": "stat", "items": ITEMS, "task": "a task"}


def test_a_loop_of_much_content_is_several_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LARGE", 200)
    told = [(first, json.loads(frame[wire.HEADER.size :])) for first, frame in task_messages("stat", ITEMS, {})]
    assert [first for first, _ in told] == [0, 3, 6, 9]
    assert [item for _, task in told for item in task["items"]] == ITEMS


def test_more_than_a_frame_holds_reaches_the_agent_but_for_the_item_that_cannot() -> None:
    agent = Agent(HERE, None, RunIdentity("r", {"run": "r"}, check=True))
    many = {"path": "/", "checksum_algorithm": "x" * messages.LARGE}
    items = [*[many] * (wire.MAX_PAYLOAD // messages.LARGE + 1), {"path": "x" * wire.MAX_PAYLOAD}, {"path": "/"}]
    try:
        results = dict(agent.run("stat", items, task="a task"))
    finally:
        agent.close()
    *others, alone, last = (results[index] for index in range(len(items)))
    assert all(result["stat"]["isdir"] for result in [*others, last])
    assert alone["failed"] and "do not fit into a message (64 MiB)" in alone["msg"]
