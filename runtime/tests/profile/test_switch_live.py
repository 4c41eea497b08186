"""`wxruntime switch` with a real gateway, real engines and clients that stream throughout: no request is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import LOCAL, Gateway, said, until
from profile_case import free_port, write_profile

from wxruntime.tiny_text import LESSONS

CLIENTS = 3
QUESTION, ANSWER = LESSONS[0]
WXRUNTIME = str(Path(sys.executable).with_name("wxruntime"))
PATIENCE = [
    "--ready-seconds=500",
    "--token-seconds=200",
    "--drain-seconds=100",
]  # a busy machine imports PyTorch slowly


class Clients:
    """Threads that stream one answer after the other through the gateway, and keep what came back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.whole: list[str] = []
        self.lost: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        wanted = len(self.whole) + count
        until(lambda: len(self.whole) >= wanted or self.lost, "clients are answered", 120)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        body = {"model": "ernie", "stream": True, "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]}
        with httpx.Client(base_url=self._url, trust_env=False, timeout=120) as client:
            while not self._over.wait(0.05):
                try:
                    answer = client.post("/v1/chat/completions", json=body)
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))
                    continue
                fine = answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n")
                (self.whole if fine else self.lost).append(said(answer.text) if fine else answer.text)


class Place:
    """A gateway, a profile of fp32 and bf16, and the directory of its engines' records."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.engines, self.model = folder, folder / "engines", model
        self.port = free_port()
        self.host = ["--here"]
        self.profile = self.write()
        self.socket = folder / "admin.sock"
        admin = {"socket": str(self.socket), "state": str(folder / "state.json")}
        listed = {"name": "ernie", "replicas": [{"url": f"http://127.0.0.1:{self.port}"}]}
        settings = {"listen": {"port": 0, "admin": admin}, "clients": [LOCAL], "models": [listed]}
        self.gateway = Gateway(folder, settings)

    def write(self, **changes: Any) -> Path:
        values = {
            "engine": "transformers", "version": None, "image": None, "precision": ["fp32", "bf16"],
            "model": str(self.model), "host": "127.0.0.1", "port": self.port, "max_num_seqs": 4,
            "max_model_len": 256, "drain_seconds": 60, "environment": {"OMP_NUM_THREADS": "1"},
        }  # fmt: skip
        return write_profile(self.folder, values | changes)

    def command(self, to: str, *more: str) -> list[str]:
        return [
            WXRUNTIME, "switch", str(self.profile), "--to", to, "--gateway", str(self.socket), *self.host,
            "--processes", str(self.engines), "--model", str(self.model), *PATIENCE, *more,
        ]  # fmt: skip

    def switch(self, to: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(to, *more), capture_output=True, text=True, timeout=900)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.engines.glob("*.json"))]

    def dtypes(self) -> list[str]:
        """Of the processes that run, by what they were started with."""
        found = []
        for record in self.records():
            with suppress(OSError):
                arguments = Path(f"/proc/{record['pid']}/cmdline").read_bytes().split(b"\0")
                found.append(arguments[arguments.index(b"--dtype") + 1].decode())
        return found

    def stop(self) -> None:
        self.gateway.stop()
        for record in self.records():
            with suppress(OSError, TypeError):
                os.kill(record["pid"], signal.SIGKILL)


@pytest.fixture
def place(tiny: Path, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, tiny)
    yield made
    made.stop()


@pytest.fixture
def clients() -> Iterator[Callable[[str], Clients]]:
    started: list[Clients] = []

    def start(url: str) -> Clients:
        started.append(Clients(url))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def test_two_replicas_go_over_and_a_switch_that_is_killed_is_finished_by_the_next(
    place: Place, clients: Callable[[str], Clients]
) -> None:
    begun = place.switch("fp32", "--count", "2")
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert place.dtypes() == ["float32", "float32"]
    asking = clients(place.gateway.url)
    asking.more(CLIENTS)

    urls = [f"--url={url}" for url in place.gateway.replicas()]
    asked = [WXRUNTIME, "recommend", place.profile, "--now=fp32", "--here", f"--model={place.model}", *urls]
    advice = subprocess.run([*asked, "--samples=1"], capture_output=True, text=True, timeout=300)
    assert advice.returncode == 0, advice.stderr
    assert advice.stdout.startswith("2 in fp32: ") and advice.stdout.endswith("fp32 is right\n")

    planned = place.switch("bf16", "--check")
    steps = [line.split(" ")[1:3] for line in planned.stdout.splitlines() if line[0].isdigit()]
    assert steps == [
        ["start", "ernie-bf16-1"], ["admit", "ernie-bf16-1:"], ["drain", "ernie-fp32-1"], ["stop", "ernie-fp32-1"],
        ["remove", "ernie-fp32-1"], ["start", "ernie-bf16-2"], ["admit", "ernie-bf16-2:"], ["drain", "ernie-fp32-2"],
        ["stop", "ernie-fp32-2"], ["remove", "ernie-fp32-2"],
    ], planned.stdout + planned.stderr  # fmt: skip
    assert "memory: " in planned.stdout and "on the way" in planned.stdout
    assert place.dtypes() == ["float32", "float32"], "nothing was changed"

    killed = subprocess.Popen(place.command("bf16"), stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("drain ernie-fp32-1"):
            break
    killed.kill()
    killed.wait()
    asking.more(CLIENTS)

    finished = place.switch("bf16")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.endswith("all serve in bf16\n")
    asking.more(2 * CLIENTS)
    asking.stop()
    assert asking.lost == []
    assert set(asking.whole) == {ANSWER} and len(asking.whole) >= 4 * CLIENTS
    assert place.dtypes() == ["bfloat16", "bfloat16"]
    now = place.gateway.replicas()
    assert set(now.values()) == {"up"} and len(now) == 2
    assert place.switch("bf16").stdout.endswith("nothing to do\n")


def test_an_engine_that_no_gateway_has_under_this_address_is_not_stopped_nor_admitted_again(place: Place) -> None:
    """It would be ended under the requests that come to it by the name that the gateway knows, or be there twice."""
    assert place.switch("fp32", "--count", "1").returncode == 0
    for precision in ("bf16", "fp32"):
        told = place.switch(precision, "--address", "localhost")
        assert told.returncode == 2, told.stdout + told.stderr
        assert f"asked at http://localhost:{place.port}, and the gateway at {place.socket} has no such" in told.stderr
        assert f"it has http://127.0.0.1:{place.port}. Give --address" in told.stderr
    assert place.dtypes() == ["float32"] and list(place.gateway.replicas().values()) == ["up"]


def test_a_new_replica_that_fails_leaves_the_old_ones_serving_also_one_that_made_room_and_ctrl_c_is_gone_on_from(
    place: Place, clients: Callable[[str], Clients]
) -> None:
    assert place.switch("fp32", "--count", "2").returncode == 0
    asking = clients(place.gateway.url)
    asking.more(CLIENTS)
    place.profile = place.write(arguments={"kv-tokens": "none"})
    failed = place.switch("bf16")
    assert failed.returncode == 1
    assert "admit ernie-bf16-1: ready, and a token for each gateway: it ended by itself" in failed.stderr
    assert "ernie-bf16-1 was taken away. the others serve on" in failed.stderr
    asking.more(2 * CLIENTS)

    facts = place.folder / "facts.json"
    facts.write_text(json.dumps({"host": "full", "system": {"memory_available": 1}}))
    place.host = [f"--host={facts}"]
    pids = [each["pid"] for each in place.records()]
    planned = place.switch("bf16", "--check").stdout
    assert "1. drain ernie-fp32-1" in planned and "3. start ernie-bf16-1" in planned, "one has to make room"
    failed = place.switch("bf16")
    assert failed.returncode == 1
    assert "ernie-bf16-1 was taken away. ernie-fp32-1 is back. the others serve on" in failed.stderr
    asking.more(2 * CLIENTS)
    assert [each["name"] for each in place.records()] == ["ernie-fp32-1", "ernie-fp32-2"]
    assert place.dtypes() == ["float32", "float32"] and [each["pid"] for each in place.records()][1] == pids[1]
    assert list(place.gateway.replicas().values()) == ["up", "up"]

    place.profile = place.write()
    stopped = subprocess.Popen(place.command("bf16"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert stopped.stdout is not None
    for line in stopped.stdout:
        if line.startswith("stop ernie-fp32-1"):
            break
    stopped.send_signal(signal.SIGINT)
    assert "stopped on the way: the same command goes on from here" in stopped.communicate()[1]
    assert stopped.returncode == 130
    asking.more(CLIENTS)
    place.host = ["--here"]  # memory as it is now
    finished = place.switch("bf16")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    asking.stop()
    assert asking.lost == [] and place.dtypes() == ["bfloat16", "bfloat16"]
    assert list(place.gateway.replicas().values()) == ["up", "up"]


def test_what_cannot_be_is_refused_before_anything_is_begun(place: Place) -> None:
    told = place.switch("int4")
    assert told.returncode == 2 and "precision: int4 is not among fp32, bf16" in told.stderr
    other = [*place.command("bf16"), "--count", "1", "--name", "another"]
    told = subprocess.run(other, capture_output=True, text=True, timeout=300)
    assert told.returncode == 1 and "has no model 'another', but ernie: say which with --name" in told.stderr
    told = place.switch("bf16")
    assert told.returncode == 1 and "has no engines' records: say with --count how many" in told.stderr
    assert not place.engines.exists(), "nothing was made for the asking"
    planned = place.switch("bf16", "--count", "1", "--check")
    assert planned.returncode == 0 and not place.engines.exists(), planned.stdout + planned.stderr
    place.gateway.process.kill()
    place.gateway.process.wait()
    told = place.switch("bf16", "--count", "1")
    assert told.returncode == 1 and f"no gateway answers at {place.socket}: Connection refused" in told.stderr
    assert place.records() == []
