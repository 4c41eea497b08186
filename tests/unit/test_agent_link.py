"""An agent whose controller is slow, silent or gone: it is patient with the first, and ends after the others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.unit.agent_here import agent_here
from wxops.agent import wire

QUESTION = {"check": False, "journaled": False}
"""A command that is only a question: it runs, without a journal."""
COUNTS = "for n in 1 2 3 4 5 6; do echo $n; sleep 0.1; done"


def wait_for(path: Path, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.05)


def test_a_frame_that_comes_slowly_is_no_silence() -> None:
    with agent_here(patience=0.6) as agent:
        frame = wire.pack_json(wire.TASK, {"module": "stat", "items": [{"path": "/"}], "task": "a task"})
        for at in range(0, len(frame), 10):
            agent.write(frame[at : at + 10])
            time.sleep(0.2)
        assert agent.result()["stat"]["isdir"]


def test_a_controller_that_falls_silent_is_given_up() -> None:
    with agent_here(patience=0.4) as agent:
        assert agent.has_ended(3)


@pytest.mark.parametrize("silent", [True, False], ids=["cut without a word", "closed"])
def test_a_link_that_ends_while_content_is_awaited_ends_the_agent(silent: bool, tmp_path: Path) -> None:
    with agent_here(patience=0.6 if silent else 30) as agent:
        content = {"offer": "x", "sha256": "0" * 64, "size": 7}
        sent = {"name": "x", "content": content, "sha1": "0", "md5": "0"}
        agent.task("copy", {"dest": str(tmp_path / "file"), "_sent": sent})
        assert agent.next(wire.NEED) == b"x 0"
        if not silent:
            agent.hang_up()
        assert agent.has_ended(3)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("silent", [True, False], ids=["cut without a word", "closed"])
def test_a_command_whose_output_nobody_takes_any_more_runs_to_its_end(silent: bool, tmp_path: Path) -> None:
    with agent_here(patience=0.6 if silent else 30, verbose=True) as agent:
        flood = "head -c 3000000 /dev/zero | tr '\\0' x | fold -w 9999" if silent else COUNTS
        agent.task("shell", {"_raw_params": f"echo begins; {flood}; touch {tmp_path}/ended"}, **QUESTION)
        assert agent.next(wire.OUTPUT) == b"\1begins\n"
        if not silent:
            agent.hang_up()
        wait_for(tmp_path / "ended")
        assert agent.has_ended(3)
