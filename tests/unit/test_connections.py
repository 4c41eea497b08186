"""The agents of a run, real ones on this machine: started once, closed when they are lost or forgotten."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from wxops.engine.connections import Connections
from wxops.engine.options import RunOptions
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.pipe import LocalPipe

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@pytest.fixture
def connections() -> Iterator[Connections]:
    opened = Connections(RunIdentity("r", {"run": "r"}, check=True), RunOptions())
    yield opened
    opened.close()


def is_closed(agent: Agent) -> bool:
    assert isinstance(agent._pipe, LocalPipe)
    return agent._pipe._process.returncode is not None


def test_an_agent_is_kept_until_the_host_is_forgotten(connections: Connections) -> None:
    with connections.agent("here", HERE, None) as first:
        pass
    with connections.agent("here", HERE, None) as again:
        assert again is first
    connections.forget("here")
    assert is_closed(first)
    with connections.agent("here", HERE, None) as later:
        assert later is not first and not later.is_lost


def test_an_agent_that_was_lost_is_closed_when_the_next_one_takes_its_place(connections: Connections) -> None:
    with connections.agent("here", HERE, None) as first:
        os.kill(first.hello["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not first.is_lost and time.monotonic() < deadline:
        time.sleep(0.02)
    with connections.agent("here", HERE, None) as second:
        assert is_closed(first) and not second.is_lost


def test_a_host_is_forgotten_while_others_connect(connections: Connections) -> None:
    """With so many hosts a look at all of them takes its time, in which others come and go."""
    many = {(f"host{number}", "local", "", None, None, None): None for number in range(20_000)}
    connections._agents.update(many)  # type: ignore[arg-type]
    over, failed = threading.Event(), []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def come_and_go() -> None:
        while not over.is_set():
            with connections._guard:
                connections._agents["new", "local", "", None, None, None] = None  # type: ignore[assignment]
            with connections._guard:
                del connections._agents["new", "local", "", None, None, None]

    others = threading.Thread(target=come_and_go)
    others.start()
    try:
        for _ in range(50):
            connections.forget("nobody")
    except RuntimeError as error:
        failed.append(error)
    finally:
        sys.setswitchinterval(before)
        over.set()
        others.join()
        connections._agents.clear()
    assert failed == []


def test_a_host_whose_link_is_full_does_not_keep_the_others_from_being_told_to_stop(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wxops.engine.connections.CANCEL_S", 0.2)
    with connections.agent("stuck", HERE, None) as stuck, connections.agent("free", HERE, None) as free:
        before = free.traffic.sent
        with stuck._writing:  # as one that waits for room
            connections.cancel()
        assert free.traffic.sent > before
