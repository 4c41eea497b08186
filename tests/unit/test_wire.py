"""Frames, and a real agent on this machine that is asked for too much or sent what has no room."""

from __future__ import annotations

import gc
import io
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wxops.agent import wire
from wxops.agent.failure import ModuleFailure
from wxops.agent.session import ControllerLink, _answer
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import ConnectionOptions

ABOUT = {"run": "20260101-000000-feed"}


@pytest.fixture
def agent() -> Iterator[Agent]:
    """An agent as a host has it, in check mode: it takes no lock and changes nothing."""
    started = Agent(ConnectionOptions("here", "localhost", connection="local"), None,
                    RunIdentity(ABOUT["run"], ABOUT, check=True))  # fmt: skip
    yield started
    started.close()


def ask(agent: Agent, module: str, **arguments: object) -> dict[str, object]:
    ((_, result),) = agent.run(module, [arguments], task="a task")
    return result


@pytest.mark.parametrize("payload", [b"", b"x", b"\0" * 100_000])
def test_a_frame_comes_back_as_it_was_sent(payload: bytes) -> None:
    assert wire.read_frame(io.BytesIO(wire.pack(wire.DATA, payload)).read) == (wire.DATA, payload)


@pytest.mark.parametrize("data", [b"", b"\0\0", wire.pack(wire.DATA, b"whole")[:-1]])
def test_a_frame_cut_short_is_the_end_of_the_link(data: bytes) -> None:
    with pytest.raises(wire.EndOfStream):
        wire.read_frame(io.BytesIO(data).read)


def test_a_frame_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(wire.WireError, match="at most"):
        wire.read_frame(io.BytesIO(wire.HEADER.pack(wire.MAX_PAYLOAD + 1, wire.DATA)).read)


def test_an_answer_too_large_for_a_frame_says_so_and_keeps_its_steps() -> None:
    answer = json.loads(_answer(3, {"stdout": "x" * wire.MAX_PAYLOAD, "changed": True, "steps": [7], "ms": 1}))
    assert answer["item"] == 3
    assert answer["result"].pop("msg").startswith("its result of 64 MiB does not fit")
    assert answer["result"] == {"failed": True, "changed": True, "steps": [7], "ms": 1}


def test_names_that_are_no_text_go_both_ways(agent: Agent, tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/\xff")
    Path(name).write_text("x")
    stat = ask(agent, "stat", path=name)["stat"]
    assert isinstance(stat, dict) and stat["exists"] and stat["path"] == name


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_content_that_has_no_room_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    frames: Any = queue.Queue()
    for chunk in [b"x" * wire.CHUNK] * 16 + [b""]:
        frames.put((wire.DATA, chunk))
    frames.put((wire.TASK, b"the next one"))
    try:
        link = ControllerLink(lambda *_: None, frames, verbose=False)
        with pytest.raises(ModuleFailure, match="there is no room"):
            link.fetch("name")
        link.pass_over()
        assert frames.get() == (wire.TASK, b"the next one")
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_agents_leave_no_thread_and_no_descriptor() -> None:
    def once() -> None:
        agent = Agent(ConnectionOptions("here", "localhost", connection="local"), None,
                      RunIdentity("r", {"run": "r"}, check=True))  # fmt: skip
        ask(agent, "stat", path="/")
        agent.close()

    def ours() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "link to here"]

    once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        once()
    deadline = time.monotonic() + 5
    while ours() and time.monotonic() < deadline:
        time.sleep(0.05)
    gc.collect()
    assert ours() == [] and len(os.listdir("/proc/self/fd")) <= before
