"""Two real engines go over from fp32 to bf16 while they are asked all the time: no request is lost."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from profile_case import free_port, write_profile

from wxruntime.profile.command import Choice, commands
from wxruntime.profile.model import read
from wxruntime.profile.rolling import Patience, Rolling, Running, SwitchFailed
from wxruntime.profile.switch import Admit, Replica, Start, switch
from wxruntime.tiny_text import LESSONS

CLIENTS = 2
QUESTION, ANSWER = LESSONS[0]
MEMORY = 1.0
PAUSE_S = 0.5
PATIENCE = Patience(ready=600, drain=120, stop=120)  # a busy machine takes minutes to import PyTorch


class RoundRobin:
    """The least that a gateway does: one address after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.urls: list[str] = []
        self._turn = itertools.count()

    def add(self, url: str) -> None:
        with self._lock:
            self.urls.append(url)

    def remove(self, url: str) -> None:
        with self._lock:
            self.urls.remove(url)

    def next(self) -> str:
        with self._lock:
            return self.urls[next(self._turn) % len(self.urls)]


class Clients:
    """Threads that ask the round robin's replicas one question after the other, and keep what came back."""

    def __init__(self, rotation: RoundRobin) -> None:
        self._rotation = rotation
        self.answers: list[tuple[str, str]] = []
        self.lost: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        body = {"model": "ernie", "messages": [{"role": "user", "content": QUESTION}]}
        while not self._over.wait(PAUSE_S):
            url = self._rotation.next()
            asked = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode())
            try:
                with urllib.request.urlopen(asked, timeout=120) as reply:
                    self.answers.append((url, json.load(reply)["choices"][0]["message"]["content"]))
            except OSError as error:
                self.lost.append(f"{url}: {error}")


@pytest.fixture
def rolling(tiny: Path, tmp_path: Path) -> Iterator[Rolling]:
    """Engines of a profile of fp32 and bf16, each on a port of its own, as `wxruntime check` renders them."""

    def start(replica: Replica) -> Running:
        port = free_port()
        changes = {"engine": "transformers", "version": None, "image": None, "precision": ["fp32", "bf16"],
                   "model": str(tiny), "host": "127.0.0.1", "port": port, "max_num_seqs": 4,
                   "environment": {"OMP_NUM_THREADS": "1"}}  # fmt: skip
        profile, _ = read(write_profile(tmp_path, changes))
        (command,) = commands(profile, Choice(replica.precision))
        program = Path(sys.executable).with_name(command.entrypoint[0])
        log = (tmp_path / f"{replica.name}.log").open("wb")
        arguments = [program, *command.entrypoint[1:], *command.arguments]
        environment = {**os.environ, **command.environment}
        process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment)
        return Running(process, f"http://127.0.0.1:{port}")

    rolling = Rolling(start, RoundRobin(), PATIENCE)
    yield rolling
    for each in rolling.running.values():
        each.process.kill()
        each.process.wait()


def test_a_switch_under_load_loses_no_request(rolling: Rolling) -> None:
    rotation = rolling._rotation
    assert isinstance(rotation, RoundRobin)
    old = [Replica(name, "fp32", MEMORY, 4) for name in ("a", "b")]
    rolling.carry_out([*map(Start, old), *map(Admit, old)])
    before = list(rotation.urls)
    processes = [running.process for running in rolling.running.values()]

    clients = Clients(rotation)
    try:
        rolling.carry_out(switch(old, Replica("new", "bf16", MEMORY, 4), free=MEMORY, load=CLIENTS))
        served = len(clients.answers)
        while len(clients.answers) < served + 4 * CLIENTS and not clients.lost:
            time.sleep(PAUSE_S)
    finally:
        clients.stop()

    assert clients.lost == []
    assert {answer for _, answer in clients.answers} == {ANSWER}
    assert [process.returncode for process in processes] == [0, 0], "the old ones drained and ended by themselves"
    assert set(rotation.urls).isdisjoint(before) and len(rotation.urls) == 2
    assert {url for url, _ in clients.answers[served + CLIENTS :]} == set(rotation.urls), "both new ones answer"
    for running in rolling.running.values():
        arguments = Path(f"/proc/{running.process.pid}/cmdline").read_bytes().split(b"\0")
        assert arguments[arguments.index(b"--dtype") + 1] == b"bfloat16"


def test_a_replica_that_does_not_start_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    rotation = RoundRobin()
    rotation.add("http://127.0.0.1:1")
    wrong = Replica("new", "bf16", MEMORY, 4)
    failing = Rolling(
        lambda _: Running(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]), "http://127.0.0.1:2"),
        rotation,
        PATIENCE,
    )
    with pytest.raises(SwitchFailed, match="new-1 in bf16 did not become ready: it ended with 3; the others serve on"):
        failing.carry_out(switch([Replica("a", "fp32", MEMORY, 4)], wrong, free=MEMORY, load=0))
    assert rotation.urls == ["http://127.0.0.1:1"]
