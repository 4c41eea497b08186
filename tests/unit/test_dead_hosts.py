"""A host that is dead, silent or stuck holds the others up by its own timeout at most, and on their own not at all.

No test waits for a clock: the bad host stays bad until the good ones have ended, or is given up after its own timeout.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GOOD = [f"good{number}" for number in range(1, 4)]
TASKS = 3
HERE = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
NEVER_S, PATIENCE_S = 600, 120
Bad = tuple[str, Callable[[], None]]


@contextlib.contextmanager
def drops_syn(folder: Path) -> Iterator[Bad]:
    """A full queue of connections: the kernel drops what comes."""
    with contextlib.ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        for _ in range(2):
            filling = open_sockets.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(place)
        with pytest.raises(TimeoutError):
            socket.create_connection(place, timeout=0.3)
        yield f"ansible_host=127.0.0.1 ansible_port={place[1]}", open_sockets.close


@contextlib.contextmanager
def says_nothing(folder: Path) -> Iterator[Bad]:
    """An sshd that takes connections and is stuck."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield f"ansible_host=127.0.0.1 ansible_port={server.getsockname()[1]}", server.close


@contextlib.contextmanager
def hangs(folder: Path) -> Iterator[Bad]:
    """An agent that is stopped in its first task."""

    stuck = folder / "stuck"

    def release() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not (stuck.exists() and stuck.read_text().strip()):
            assert time.monotonic() < deadline, "it never came to its task"
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(stuck.read_text()), signal.SIGKILL)

    try:
        yield f"{HERE} stop=true", release
    finally:
        release()


BAD = pytest.mark.parametrize("bad", [drops_syn, says_nothing, hangs])


def start(folder: Path, bad: str, strategy: str, seconds: float) -> subprocess.Popen[str]:
    """A run on one bad host, which comes first, and the good ones. seconds: until the bad one is given up."""
    times = f"ansible_timeout={seconds} wxops_keepalive={seconds / 4}"
    lines = [f"bad {bad} {times}", *(f"{host} {HERE}" for host in GOOD)]
    (folder / "hosts.ini").write_text("\n".join(lines) + "\n")
    first = {"name": "1", "shell": f"{{{{ 'echo $PPID > {folder}/stuck; kill -STOP $PPID' if stop | default(false) "
                                   "else 'true' }}", "changed_when": False}  # fmt: skip
    rest = [{"name": str(number), "command": "true", "changed_when": False} for number in range(2, TASKS + 1)]
    play = {"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": [first, *rest]}
    (folder / "site.yml").write_text(json.dumps([play]))
    argv = [Path(sys.executable).with_name("wxops"), "run", "-i", "hosts.ini", "site.yml", "--output", "jsonl"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def results(running: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        if event["event"] == "task":
            yield event


@BAD
def test_hosts_that_go_on_by_themselves_never_wait_for_a_bad_one(bad: Any, tmp_path: Path) -> None:
    with bad(tmp_path) as (reach, release):
        running = start(tmp_path, reach, "free", NEVER_S)
        ended = 0
        for event in results(running):
            if event["host"] == "bad":
                assert ended == TASKS * len(GOOD) and event["status"] == "unreachable"
                continue
            assert event["status"] == "ok"
            ended += 1
            if ended == TASKS * len(GOOD):
                release()
        assert running.wait() == 4


@BAD
def test_hosts_in_step_wait_for_a_bad_one_once(bad: Any, tmp_path: Path) -> None:
    with bad(tmp_path) as (reach, _):
        running = start(tmp_path, reach, "linear", 2)
        found = list(results(running))
        assert running.wait() == 4
    of_bad = [event for event in found if event["host"] == "bad"]
    assert [(event["task"], event["status"]) for event in of_bad] == [("1", "unreachable")]
    assert of_bad[0]["ms"] >= 1900
    assert [event["status"] for event in found if event["host"] != "bad"] == ["ok"] * TASKS * len(GOOD)
