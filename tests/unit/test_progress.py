"""What an operator sees while a run goes on: at 4 hosts and at 500, on a terminal and in a CI log."""

from __future__ import annotations

import io
import re
from typing import Any

from tests.unit.test_live import counts, screen
from wxops.console.live import Live
from wxops.console.log import Log
from wxops.console.progress import Progress, took
from wxops.engine.events import Event, PlayStarted, Recap, Retrying, RunStarted, TaskResult, TaskStarted

FOUR = ("gpu1", "gpu2", "gpu3", "gpu4")
MANY = tuple(f"gpu{number:03}" for number in range(500))


def result(host: str, task: str, status: Any = "ok", **values: Any) -> TaskResult:
    return TaskResult(host, "Base", task, "copy", status, 1.0, values, where="site.yml:3:5")


def begun(hosts: tuple[str, ...]) -> list[Event]:
    """Facts came from all; the copy has ended on all but the first two hosts, and failed on the last."""
    facts = [TaskStarted("Base", "Facts", "setup", hosts), *(result(host, "Facts") for host in hosts)]
    copy = [result(host, "Copy", "changed") for host in hosts[2:-1]]
    failed = result(hosts[-1], "Copy", "failed", msg="no space left")
    return [RunStarted("R", ("site.yml",), False, 4 * len(hosts)), PlayStarted("Base", hosts), *facts,
            TaskStarted("Base", "Copy", "copy", hosts), *copy, failed]  # fmt: skip


def now(events: list[Event], **size: int) -> list[str]:
    """The region as it stands after these events, blanks and times made the same."""
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0, always_draw=True) as live:
        for event in events:
            live(event)
        drawn = live._now(size.get("width", 100), size.get("height", 40))
    lines = screen("".join(line + "\n" for line in drawn))
    return [
        re.sub(r"\d+\.\ds", "SECONDS", re.sub(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "*", " ".join(line.split()))) for line in lines if line
    ]


def test_four_hosts_have_a_line_each() -> None:
    assert now(begun(FOUR)) == [
        "* Copy 2/4 SECONDS",
        "gpu1, gpu2",
        "✗ gpu4 no space left",
        "* gpu1 1 ok Copy SECONDS",
        "* gpu2 1 ok Copy SECONDS",
        "✓ gpu3 1 ok 1 changed waits for the others",
        "✗ gpu4 1 ok 1 failed failed at Copy",
        "Base · 4 hosts: 2 at work, 1 waiting, 1 failed · SECONDS",
    ]


def test_five_hundred_hosts_are_counted_by_state() -> None:
    assert now(begun(MANY)) == [
        "* Copy 498/500 SECONDS",
        "gpu000, gpu001",
        "✗ gpu499 no space left",
        "Base · 500 hosts: 2 at work, 497 waiting, 1 failed · SECONDS",
    ]


def test_a_low_terminal_shows_the_summary_all_the_same() -> None:
    lines = now(begun(FOUR), height=6)
    assert len(lines) == 4 and lines[-1].startswith("Base · 4 hosts")


def test_every_line_fits_a_narrow_terminal() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0, always_draw=True) as live:
        for event in begun(tuple(f"a-host-with-a-rather-long-name-{number}" for number in range(4))):
            live(event)
        for line in screen("".join(line + "\n" for line in live._now(50, 40))):
            assert len(line) < 80


def test_many_hosts_that_fail_each_in_their_own_way_do_not_flood() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0) as live:
        live(PlayStarted("Base", MANY))
        live(TaskStarted("Base", "Copy", "copy", MANY))
        for free, host in enumerate(MANY):
            live(result(host, "Copy", "failed", msg=f"{free} bytes are too few"))
    lines = out.getvalue().splitlines()
    assert len(lines) < 80
    assert "480 hosts more, each with something else" in out.getvalue()


def test_a_retry_is_shown_with_what_is_left_of_it() -> None:
    lines = now([*begun(FOUR), Retrying("gpu1", "Copy", 3)])
    assert "* gpu1 1 ok Copy (tried again, 3 more times at most) SECONDS" in lines


class Clock:
    """Says what it is told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_what_is_left_is_told_once_it_can_be() -> None:
    clock = Clock()
    progress = Progress(clock)
    events = begun(FOUR)
    for event in events[:3]:
        progress.take(event)
    assert progress.left is None, "nothing has been done"
    clock.seconds = 4
    for event in events[3:]:
        progress.take(event)
    assert progress.left is None, "too early to tell"
    clock.seconds = 60
    assert progress.left == 60 * (14 - 6) / 6, "of 16 results 2 will not come: their host has failed"
    assert progress.summary() == "Base · 4 hosts: 2 at work, 1 waiting, 1 failed · 1m 00s, about 1m 20s left"
    for host in FOUR[:2] * 20:
        progress.take(result(host, "Copy"))
    assert progress.left is None, "more was done than was foreseen"


def test_times_are_short() -> None:
    assert [took(seconds) for seconds in (0.04, 59.94, 61, 3600 * 3 + 7 * 60)] == ["0.0s", "59.9s", "1m 01s", "3h 07m"]


def test_a_ci_log_has_a_line_a_task_and_nothing_that_moves_the_cursor() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0) as live:
        for event in [*begun(MANY), result("gpu000", "Copy"), result("gpu001", "Copy")]:
            live(event)
        live(Recap("R", {host: counts(ok=2, changed=1) for host in MANY}))
    text = out.getvalue()
    assert "\x1b" not in text and "\r" not in text
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    assert [re.sub(r"\d+\.\ds", "SECONDS", line) for line in lines[:5]] == [
        "Base 500 hosts", "✓ Facts 500 ok SECONDS", "✗ Copy 2 ok 497 changed 1 failed SECONDS", "gpu499",
        "no space left",
    ]  # fmt: skip
    assert len(lines) < 12


def test_a_quiet_log_says_that_the_run_goes_on() -> None:
    out = io.StringIO()
    spoke: list[int] = []

    def lines(width: int, height: int) -> list[str]:
        spoke.append(width)
        return ["a task", "\x1b[2mBase · 500 hosts · 30.0s\x1b[0m"]

    with Log(out, lines, every=0.01):
        while len(spoke) < 3:
            pass
    said = out.getvalue().splitlines()
    assert set(said) == {"Base · 500 hosts · 30.0s"} and len(said) >= 2
