"""A tiny checkpoint made once, and real server processes that serve it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from wxruntime.tiny_text import ENDLESS_QUESTION, LESSONS

WXRUNTIME = str(Path(sys.executable).with_name("wxruntime"))
START_TIMEOUT_S = 180.0  # PyTorch alone takes a minute to import on a machine that is busy enough
QUESTION, ANSWER = LESSONS[0]

# A tiny model gains nothing from a second thread, and threads that wait for each other stand still on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Server:
    """A running `wxruntime engine` with the model name "tiny"."""

    process: subprocess.Popen[bytes]
    client: httpx.Client

    def ask(self, question: str = QUESTION, **fields: Any) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json=chat(question, **fields))

    def metric(self, name: str) -> float:
        line = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert line is not None, f"no metric {name}"
        return float(line[1])

    def wait_until(self, name: str, value: float, timeout_s: float = 10.0) -> None:
        deadline = time.monotonic() + timeout_s
        while self.metric(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.metric(name)}, not {value}"
            time.sleep(0.02)


def chat(question: str = QUESTION, **fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": question}], **fields}


def endless(**fields: Any) -> dict[str, Any]:
    """A request that only a limit, a stop string or the client ends."""
    return chat(ENDLESS_QUESTION, **fields)


def run_wxruntime(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WXRUNTIME, *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment, timeout=120
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "tiny"
    made = run_wxruntime("tiny", directory)
    assert made.returncode == 0, made.stderr
    return directory


@pytest.fixture(scope="session")
def serve(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers; all are ended with the session."""
    started: list[Server] = []

    def start(*arguments: str, model: Path = tiny) -> Server:
        log = tmp_path_factory.mktemp("server") / "log"
        with log.open("wb") as stderr:
            command = [WXRUNTIME, "engine", "--model", str(model), "--port", "0", "--served-model-name", "tiny"]
            process = subprocess.Popen([*command, *arguments], stderr=stderr)
        server = Server(process, httpx.Client(base_url=_address(process, log), timeout=30))
        started.append(server)
        _await_ready(server, log)
        return server

    yield start
    for server in started:
        server.client.close()
        server.process.send_signal(signal.SIGTERM)
    for server in started:
        server.process.wait(timeout=30)


@pytest.fixture(scope="session")
def server(serve: Callable[..., Server]) -> Server:
    """Answers four at once, and lets two wait."""
    return serve("--max-sequences", "4", "--queue-size", "2")


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if told := re.search(r"running on (http://\S+)", log.read_text()):
            return told[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _await_ready(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while server.client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
