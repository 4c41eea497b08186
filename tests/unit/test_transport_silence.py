"""The controller's patience with a real agent on this machine: one that never stops talking, one behind a slow link."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from wxops.transport import agent as transport
from wxops.transport import pipe
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import ConnectionOptions
from wxops.transport.pipe import CHUNK, LocalPipe

KEEPALIVE_S = 0.3  # so the agent's patience is 1.2 s
QUESTION = {"task": "a task", "check": False, "journaled": False}


class SlowLink(LocalPipe):
    """Takes 64 KiB in 50 ms."""

    def write_some(self, data: memoryview) -> int:
        time.sleep(0.05)
        return super().write_some(data)


@contextmanager
def agent() -> Iterator[Agent]:
    options = ConnectionOptions("here", "localhost", connection="local", interpreters=(sys.executable,),
                                keepalive=KEEPALIVE_S)  # fmt: skip
    started = Agent(options, None, RunIdentity("r", {"run": "r"}, check=True, verbose=True))
    try:
        yield started
    finally:
        started.close()


def test_a_host_that_never_stops_talking_hears_of_its_controller() -> None:
    lines: list[str] = []
    with agent() as here:
        talk = {"_raw_params": "for n in $(seq 15); do echo $n; sleep 0.1; done"}
        results = dict(here.run("shell", [talk, talk], output=lambda _, line: lines.append(line), **QUESTION))
    assert [result["rc"] for result in results.values()] == [0, 0] and len(lines) == 30


def test_a_host_that_takes_a_large_message_slowly_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LocalPipe", SlowLink)
    with agent() as here:
        started = time.monotonic()
        ((_, result),) = here.run("stat", [{"path": "/", "checksum_algorithm": "x" * 40 * CHUNK}], **QUESTION)
        assert result["stat"]["isdir"] and time.monotonic() - started > 5 * KEEPALIVE_S


def test_a_host_that_stops_while_it_is_sent_much_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "ENDING_S", 0.2)
    with agent() as here, ThreadPoolExecutor(1) as pool:
        os.kill(here.hello["pid"], signal.SIGSTOP)
        much = {"path": "/", "checksum_algorithm": "x" * 40 * CHUNK}
        sending = pool.submit(lambda: list(here.run("stat", [much], **QUESTION)))
        with suppress(TimeoutError):
            assert "no sign of life for 1.2 s" in str(sending.exception(timeout=5))
            return
        os.kill(here.hello["pid"], signal.SIGKILL)
        pytest.fail("it waits for ever")


def test_a_host_that_is_stopped_is_given_up() -> None:
    with agent() as here:
        stop = {"_raw_params": "kill -STOP $PPID"}
        threading.Timer(5 * KEEPALIVE_S, os.kill, (here.hello["pid"], signal.SIGKILL)).start()  # nobody waits for it
        with pytest.raises(transport.HostUnreachable, match=r"no sign of life for 1\.2 s"):
            list(here.run("shell", [stop], **QUESTION))
