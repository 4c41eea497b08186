"""Content that a task offers to a real agent: sent when asked for, let go with the task, hashed once for all hosts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wxops.agent import wire
from wxops.agent.content import SMALL
from wxops.agent.main import PIPE_SIZE
from wxops.errors import HostUnreachable
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.contents import FRAME, Arrival, Offers, frames
from wxops.transport.options import ConnectionOptions
from wxops.transport.pipe import PACKET

TEXT = b"rendered for this host\n"
END = wire.pack(wire.DATA)


@pytest.fixture
def agent() -> Iterator[Agent]:
    options = ConnectionOptions("here", "localhost", connection="local", interpreters=(sys.executable,))
    started = Agent(options, None, RunIdentity("r", {"run": "r"}, check=True))
    yield started
    started.close()


def arguments(dest: Path, size: int = len(TEXT)) -> dict[str, Any]:
    digest = hashlib.sha256(TEXT.ljust(size)).hexdigest()
    content = {"offer": digest, "sha256": digest, "size": size}
    return {"dest": str(dest), "_sent": {"name": "x", "content": content, "sha1": "", "md5": ""}}


def test_what_a_task_offered_is_gone_with_it_but_for_a_check_whose_later_tasks_may_read_it() -> None:
    for check in (False, True):
        offers = Offers(kept=check)
        with offers.of_task({"name": TEXT}):
            assert b"".join(offers.asked(b"name 9") or []) == wire.pack(wire.DATA, TEXT[9:]) + END
        assert (offers.asked(b"name 0") is not None) == check


def test_a_later_task_of_a_check_reads_what_an_earlier_one_was_offered(agent: Agent, tmp_path: Path) -> None:
    asks = arguments(tmp_path / "file", size=SMALL + 1)
    name = asks["_sent"]["content"]["offer"]
    ((_, result),) = agent.run("copy", [asks], offers={name: TEXT.ljust(SMALL + 1)}, task="first")
    assert result["changed"]
    ((_, result),) = agent.run("stat", [{"path": asks["dest"]}], task="second")
    assert result["stat"]["checksum"] == hashlib.sha1(TEXT.ljust(SMALL + 1)).hexdigest()


def test_a_host_that_asks_for_what_was_not_offered_is_given_up(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(HostUnreachable, match="content that was not offered"):
        list(agent.run("copy", [arguments(tmp_path / "file")], task="a task"))
    assert agent.is_lost


def test_content_is_sent_from_where_it_is_asked_for_and_a_file_may_be_gone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(TEXT)
    assert b"".join(frames(tmp_path / "file", 9)) == b"".join(frames(TEXT, 9)) == wire.pack(wire.DATA, TEXT[9:]) + END
    assert b"".join(frames(tmp_path / "none", 0)) == END


def test_a_frame_of_a_large_file_leaves_no_packet_half_full(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3 * FRAME))
    sent = b""
    sizes = []
    for frame in frames(tmp_path / "file", 0):
        sizes.append(len(frame))
        sent += frame[wire.HEADER.size :]
    assert sent == (tmp_path / "file").read_bytes()
    assert sizes[:3] == [FRAME] * 3 and FRAME % PACKET == 0 and len(sizes) == 5


def test_an_agent_has_room_for_many_packets_that_wait_for_it(agent: Agent) -> None:
    stdin = agent._pipe._process.stdin  # type: ignore[attr-defined]
    assert fcntl.fcntl(stdin, fcntl.F_GETPIPE_SZ) == PIPE_SIZE


def test_what_arrives_is_in_its_place_only_when_it_is_complete(tmp_path: Path) -> None:
    arrival = Arrival(tmp_path / "file")
    assert not arrival.take(b"one ") and not arrival.take(b"two") and not (tmp_path / "file").exists()
    assert arrival.take(b"")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "one two")]
