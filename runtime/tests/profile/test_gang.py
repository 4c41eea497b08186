"""Hosts of one engine start together and end together. Each is a real process with a loopback address of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from profile_case import free_port

from wxruntime.profile.command import GANG

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
# It ends with this test if nothing ends it before: its standard input is the host's.
STAYS = "import sys; print('up', *sys.argv[1:], flush=True); sys.stdin.read()"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the part of a host of three, or of as many as named."""
    port, running = free_port(), []

    def started(
        rank: int, *, of: int = 3, own: int | None = None, model: Path = tmp_path, engine: str = STAYS
    ) -> subprocess.Popen[str]:
        addresses = list(ADDRESSES[:of])
        if own is not None:
            addresses[rank] = ADDRESSES[own]
        words = ["--rank", str(rank), "--addresses", ",".join(addresses), "--port", str(port), "--model", str(model)]
        process = subprocess.Popen(
            [sys.executable, "-c", GANG.read_text(), *words, "--", sys.executable, "-c", engine, str(rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate()


def line(stream: IO[str] | None, with_: str) -> str:
    """The first line of a stream that says something; the end of the stream is a failure."""
    assert stream
    for said in stream:
        if with_ in said:
            return said
    raise AssertionError(f"it never said {with_!r}")


def last_words(process: subprocess.Popen[str]) -> str:
    process.wait(60)
    assert process.stderr
    return process.stderr.read()


def test_no_part_starts_before_all_hosts_are_there_in_whatever_order(start: Start) -> None:
    last, first = start(2), start(0)
    assert "waiting for 127.0.0.1" in line(last.stderr, "waiting")
    while "127.0.0.3" in (said := line(first.stderr, "waiting for")):
        pass
    assert said.strip() == "gang: waiting for 127.0.0.2"  # the third is there, and its engine has not started
    second = start(1)
    for rank, process in enumerate([first, second, last]):
        assert line(process.stdout, "up").split() == ["up", str(rank)]


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_when_one_host_is_killed_all_others_end_and_say_why(victim: int, start: Start) -> None:
    hosts = [start(rank) for rank in range(3)]
    for process in hosts:
        line(process.stdout, "up")
    hosts[victim].kill()
    for rank, process in enumerate(hosts):
        if rank != victim:
            told = last_words(process)
            assert process.returncode == 1
            seen = victim if rank == 0 else 0  # the others see the first host only, and end when it does
            assert f"host {seen} ({ADDRESSES[seen]}) is gone" in told


def test_when_an_engine_dies_its_host_ends_with_its_code_and_so_do_the_others(start: Start) -> None:
    first, second = start(0, of=2), start(1, of=2, engine="import time; time.sleep(1); raise SystemExit(3)")
    assert second.wait(60) == 3
    assert first.wait(60) == 1


def test_a_host_that_says_nothing_any_more_is_gone_too(start: Start) -> None:
    """As after a cut in the network, with which no connection closes."""
    first, second = start(0, of=2), start(1, of=2)
    line(second.stdout, "up")
    second.send_signal(signal.SIGSTOP)
    assert "host 1 (127.0.0.2) is gone" in last_words(first)


def test_sigterm_is_the_engine_s_to_answer(start: Start) -> None:
    draining = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), print('drained', flush=True), sys.exit(0)))\n" + STAYS
    )
    first, _ = start(0, of=2, engine=draining), start(1, of=2)
    line(first.stdout, "up")
    first.send_signal(signal.SIGTERM)
    assert line(first.stdout, "drained")
    assert first.wait(60) == 0


def test_one_that_waits_ends_at_sigterm(start: Start) -> None:
    first = start(0)
    line(first.stderr, "waiting")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0


def test_after_a_restart_they_meet_again(start: Start) -> None:
    first, second = start(0, of=2), start(1, of=2)
    line(second.stdout, "up")
    first.kill()
    assert second.wait(60) == 1
    second = start(1, of=2)
    line(second.stderr, "waiting")
    first = start(0, of=2)
    assert line(first.stdout, "up") and line(second.stdout, "up")


def manifest(folder: Path, digest: str) -> Path:
    folder.mkdir()
    files = {"model.safetensors": {"size": 1, "sha256": digest}}
    (folder / "wxops-manifest.json").write_text(json.dumps({"created": folder.name, "files": files}))
    return folder


def test_a_host_with_another_model_is_refused(start: Start, tmp_path: Path) -> None:
    ours, same, other = (manifest(tmp_path / n, d) for n, d in (("ours", "a"), ("same", "a"), ("other", "b")))
    first = start(0, of=2, model=ours)
    for wrong in (other, tmp_path):  # tmp_path has no manifest
        refused = start(1, of=2, model=wrong)
        assert "another model" in last_words(refused)
        assert refused.returncode == 2
    second = start(1, of=2, model=same)
    assert line(first.stdout, "up") and line(second.stdout, "up")


def test_a_host_in_another_s_place_is_refused(start: Start) -> None:
    line(start(0).stderr, "waiting")
    mistaken = start(1, own=2)
    assert "it says it is host 1, its address is that of host 2" in last_words(mistaken)


def test_an_address_that_this_host_does_not_have_is_said(tmp_path: Path) -> None:
    words = ["--rank", "0", "--addresses", "192.0.2.1,192.0.2.2", "--port", "1", "--model", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", GANG.read_text(), *words, "--", "true"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no interface of this host has the address 192.0.2.1" in done.stderr


def test_the_engine_is_told_the_interface_and_what_the_profile_says_of_it_stands(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    told = "import os; print('told', os.environ['GLOO_SOCKET_IFNAME'], os.environ['NCCL_SOCKET_IFNAME'], flush=True)\n"
    first, _ = start(0, of=2, engine=told + STAYS), start(1, of=2)
    assert line(first.stdout, "told").split() == ["told", "lo", "ib0"]


def test_the_program_passes_through_a_playbook_as_it_is() -> None:
    assert not any(mark in GANG.read_text() for mark in ("{{", "{%", "{#"))
