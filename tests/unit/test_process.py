"""Commands on the host, tried with real ones: what they print, what they leave behind, how they end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from wxops.agent import process
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import KEPT, Running, run


def shell(script: str, **options: object) -> process.Completed:
    return run(["/bin/sh", "-c", script], **options)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_both_outputs_and_the_exit_status_come_back() -> None:
    done = shell("echo out; echo err >&2; exit 3")
    assert (done.rc, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_lines_are_shown_while_the_command_runs() -> None:
    seen: list[tuple[int, bytes, float]] = []
    start = time.monotonic()
    shell(
        "echo one; echo two >&2; sleep 0.4; printf three", output=lambda n, line: seen.append((n, line, _since(start)))
    )
    assert sorted((n, line) for n, line, _ in seen) == [(1, b"one\n"), (1, b"three"), (2, b"two\n")]
    assert seen[0][2] < 0.3 <= seen[-1][2]


def _since(start: float) -> float:
    return time.monotonic() - start


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    done = shell(f"sleep 30 & echo $! > {tmp_path}/pid; echo started")
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert done.rc == 0 and done.stdout == "started\n"
    assert _since(start) < 3


def test_nothing_stays_behind_of_a_command(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        shell("cat", stdin=b"x" * 300_000)
    time.sleep(0.1)
    assert (set(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_of_a_flood_the_beginning_is_kept_and_its_size_told() -> None:
    done = shell(f"head -c {KEPT * 3} /dev/zero | tr '\\0' x")
    assert len(done.stdout) < KEPT + 100
    assert f"[{KEPT * 3} bytes; only the first {KEPT} are kept]" in done.stdout


def test_output_that_is_no_utf8_comes_back_as_text() -> None:
    assert shell(r"printf 'a\377b'").stdout == "a�b"


def test_input_reaches_it_and_may_be_refused() -> None:
    assert run(["cat"], stdin=b"text").stdout == "text"
    assert run(["true"], stdin=b"x" * 1_000_000).rc == 0


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    with pytest.raises(ModuleFailure, match=r"took longer than 0\.3 seconds"):
        shell(f"trap '' TERM; sleep 31 & echo $! > {tmp_path}/pid; exec sleep 32", timeout=0.3)
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)  # who was killed is gone when the kernel comes to it
    assert not alive(child)


def test_one_that_prints_without_end_is_ended_in_time() -> None:
    with pytest.raises(ModuleFailure, match="took longer"):
        run(["yes"], timeout=0.3)


def test_an_interrupt_ends_what_runs_and_what_would_start_after_it() -> None:
    running = Running()
    threading.Timer(0.2, running.interrupt).start()
    start = time.monotonic()
    assert run(["sleep", "30"], running=running).rc == -15
    assert run(["sleep", "30"], running=running).rc == -15
    assert _since(start) < 5


@pytest.mark.parametrize(
    ("argv", "cwd", "named"),
    [(["/no/such/program"], None, "/no/such/program"), (["true"], "/no/such/folder", "/no/such/folder")],
)
def test_what_cannot_start_is_named(argv: list[str], cwd: str | None, named: str) -> None:
    with pytest.raises(ModuleFailure, match=f"cannot run {named}: No such file"):
        run(argv, cwd=cwd)


def test_a_command_does_not_inherit_our_descriptors() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        assert str(writing) not in shell("ls /proc/self/fd").stdout.split()
    finally:
        os.close(reading)
        os.close(writing)
