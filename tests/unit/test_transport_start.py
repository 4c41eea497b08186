"""An agent that cannot start: why is told in the host's own words, and nothing of the attempt stays open."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest

from wxops.errors import HostUnreachable
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.bootstrap import MARK
from wxops.transport.options import ConnectionOptions

DYING = {
    "before it reads": "echo 'Fatal Python error: no zlib' >&2; exit 1",
    "while it reads": "head -c 100 >/dev/null; echo 'Fatal Python error: no zlib' >&2; exit 1",
    "when it has read": "sleep 0.1; (sleep 0.1; echo 'Fatal Python error: no zlib' >&2) & exec cat >/dev/null",
}


def interpreter(folder: Path, script: str) -> ConnectionOptions:
    """A Python that comes as far as its mark, and then does this."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\nprintf '\\n{MARK} ffff\\n'\n{script}\n")
    python.chmod(0o755)
    return ConnectionOptions("dying", "localhost", connection="local", interpreters=(str(python),), keepalive=0.2)


@pytest.mark.parametrize("when", DYING)
def test_an_agent_that_dies_at_its_start_is_quoted(when: str, tmp_path: Path) -> None:
    with pytest.raises(HostUnreachable, match=r"the agent did not start .*: Fatal Python error: no zlib$"):
        Agent(interpreter(tmp_path, DYING[when]), None, RunIdentity("r", {"run": "r"}, check=True))


def test_attempts_that_failed_leave_nothing_open(tmp_path: Path) -> None:
    options = interpreter(tmp_path, DYING["while it reads"])

    def once() -> None:
        with pytest.raises(HostUnreachable):
            Agent(options, None, RunIdentity("r", {"run": "r"}, check=True))

    once()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        once()
    deadline = time.monotonic() + 5
    while any(thread.name == "link to dying" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not any(thread.name == "link to dying" for thread in threading.enumerate())


def test_what_is_read_of_an_agent_that_talks_without_end_is_bounded(tmp_path: Path) -> None:
    flood = "cat >/dev/null & head -c 9000000 /dev/zero | tr '\\0' x >&2; echo last >&2"
    with pytest.raises(HostUnreachable) as error:
        Agent(interpreter(tmp_path, flood), None, RunIdentity("r", {"run": "r"}, check=True))
    assert str(error.value).endswith("last") and len(str(error.value)) < 700
