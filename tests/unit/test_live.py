"""The live view: what it writes, as a terminal ends up showing it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from wxops.console.live import Live
from wxops.console.plain import Plain
from wxops.console.region import fit
from wxops.engine.events import COUNTS, Event, Notice, Output, PlayStarted, Recap, RunStarted, TaskResult, TaskStarted

HOSTS = ("gpu1", "gpu2", "gpu3")
TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?25[lh]|(\r)|(\n)|([^\x1b\r\n]+)")


def screen(written: str) -> list[str]:
    """What stands on a terminal that got these characters: it knows lines, colours, cursor up and clear below."""
    lines, row = [""], 0
    for count, command, back, newline, text in TOKEN.findall(written):
        if command == "A":
            row -= int(count)
            assert row >= 0, "the cursor left the screen"
        elif command == "J":
            del lines[row + 1 :]
            lines[row] = ""
        elif newline:
            row += 1
            lines[row:] = lines[row:] or [""]
        elif text and not back:
            lines[row] += text
    return [line.rstrip() for line in lines]


def shown(*events: Event, diff: bool = False, verbosity: int = 0) -> list[str]:
    out = io.StringIO()
    with Live(out, diff=diff, verbosity=verbosity, always_draw=True) as live:
        for event in events:
            live(event)
    return [re.sub(r"\d+\.\ds", "SECONDS", " ".join(line.split())) for line in screen(out.getvalue()) if line]


def result(host: str, task: str = "T", status: Any = "ok", module: str = "copy", **values: Any) -> TaskResult:
    return TaskResult(host, "P", task, module, status, 1.0, values, where="site.yml:3:5")


def started(task: str = "T", hosts: tuple[str, ...] = HOSTS, module: str = "copy") -> TaskStarted:
    return TaskStarted("P", task, module, hosts)


def counts(**given: int) -> Mapping[str, int]:
    return {**dict.fromkeys(COUNTS, 0), **given}


PLAY = PlayStarted("P", HOSTS)


def test_a_task_is_a_line_with_its_counts() -> None:
    lines = shown(PLAY, started(), result("gpu1", status="changed"), result("gpu2"), result("gpu3"))
    assert lines == ["P 3 hosts", "✓ T 2 ok 1 changed SECONDS"]


def test_hosts_that_fail_alike_share_a_line_below_their_task() -> None:
    failures = [result(host, status="failed", msg="no space") for host in ("gpu3", "gpu1")]
    lines = shown(PLAY, started(), *failures, result("gpu2"))
    assert lines[1:] == ["✗ T 1 ok 2 failed SECONDS", "gpu1, gpu3", "no space", "at site.yml:3:5"]


def test_what_is_awaited_stands_below_and_is_drawn_over() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0, always_draw=True) as live:
        live(PLAY)
        live(started())
        live(result("gpu2", status="failed", msg="no space"))
        live(Notice("a notice"))
        during = " ".join(" ".join(screen(out.getvalue())).split())
        assert "1/3" in during and "gpu1, gpu3" in during and "✗ gpu2 no space" in during
        live(result("gpu1"))
        live(result("gpu3"))
    assert "1/3" not in "".join(screen(out.getvalue()))


def test_hosts_that_go_on_by_themselves_are_followed_each() -> None:
    lines = shown(
        PLAY, started("A", ("gpu1",)), started("A", ("gpu2",)), result("gpu2", "A"), started("B", ("gpu2",)),
        result("gpu1", "A", "changed"), result("gpu2", "B"),
    )  # fmt: skip
    assert lines[1:] == ["✓ A gpu2 ok SECONDS", "✓ A gpu1 changed SECONDS", "✓ B gpu2 ok SECONDS"]


def test_a_loop_names_the_items_that_failed_and_not_the_loop_again() -> None:
    item = TaskResult("gpu1", "P", "T", "copy", "failed", 1.0, {"msg": "no space"}, "b", True, "site.yml:3:5")
    whole = result(
        "gpu1", status="failed", msg="One or more items failed", results=[{"failed": True}, {"changed": False}]
    )
    lines = shown(PLAY, started(hosts=("gpu1",)), item, whole)
    assert lines[2:] == ["gpu1", "(b) no space", "at site.yml:3:5"]


def test_an_interrupted_task_says_how_many_hosts_did_not_finish() -> None:
    lines = shown(PLAY, started(), result("gpu1"), Notice("interrupted"), Recap("R", {}, interrupted=True))
    assert "■ T 1 ok 2 hosts unfinished SECONDS" in lines
    assert lines[-1] == "run R interrupted after SECONDS"


def test_the_recap_puts_hosts_together_and_failures_last() -> None:
    hosts = {"gpu1": counts(failed=1), "gpu2": counts(ok=2, changed=1), "gpu3": counts(ok=2, changed=1)}
    lines = shown(RunStarted("R", ("site.yml",), False), Recap("R", hosts))
    assert lines == ["✓ gpu2, gpu3 2 ok 1 changed", "✗ gpu1 1 failed", "run R took SECONDS", "back: wxops rollback R"]


def test_a_check_and_a_rollback_offer_no_way_back() -> None:
    recap = Recap("R", {"gpu1": counts(ok=1, changed=1)})
    assert shown(RunStarted("R", ("site.yml",), True), recap)[0] == "Check mode: no host is changed."
    for began in (RunStarted("R", ("site.yml",), True), RunStarted("R", ("rollback of Q",), False)):
        assert not any("back:" in line for line in shown(began, recap))


def test_a_host_cannot_drive_the_terminal() -> None:
    evil = "\x1b]0;title\x07\x1b[2J\rok"
    events: list[Event] = [PLAY, started(), Output("gpu1", "T", 1, evil), result("gpu1", status="failed", msg=evil)]
    for console in (Live, Plain):
        out = io.StringIO()
        if console is Live:
            with Live(out, diff=False, verbosity=1, always_draw=True) as live:
                for event in events:
                    live(event)
        else:
            plain = Plain(out, color=True, diff=False, verbosity=1)
            for event in events:
                plain(event)
        assert "\\x1b]0;title\\x07\\x1b[2J" in out.getvalue()
        assert "\x1b]" not in out.getvalue() and "\x1b[2J" not in out.getvalue()


def test_text_fits_by_columns_not_characters() -> None:
    assert fit("部署模型", 8) == "部署模型"
    assert fit("部署模型", 6) == "部署 …"
    assert fit("abc", 5) == "abc  "


MANY = tuple(f"gpu-node-{number:03}" for number in range(500))


def test_of_many_hosts_as_many_names_are_shown_as_there_is_room_for_and_the_number_of_the_rest() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0, always_draw=True) as live:
        live(PlayStarted("P", MANY))
        live(started(hosts=MANY))
        for host in MANY[:20]:
            live(result(host))
        live(Notice("a notice"))
        during = [line for line in screen(out.getvalue()) if line]
    assert all(len(line) < 80 for line in during)
    assert "20/500" in during[2] and during[3].endswith(" and 476 more") and "500 hosts" in during[4]


def test_many_hosts_that_go_on_by_themselves_share_a_line_for_each_task() -> None:
    events: list[Event] = [PlayStarted("P", MANY, apart=True)]
    for host in MANY:
        events += [started("A", (host,)), result(host, "A", "changed")]
        if host == MANY[7]:
            events += [started("B", (host,)), result(host, "B", "failed", msg="no space")]
        elif host != MANY[9]:
            events += [started("B", (host,)), result(host, "B")]
    lines = shown(*events, Recap("R", {}))
    assert lines[:7] == [
        "P 500 hosts", "✓ A 500 changed SECONDS", "✗ B 498 ok 1 failed SECONDS", "gpu-node-007", "no space",
        "at site.yml:3:5", "run R took SECONDS",
    ]  # fmt: skip


def test_a_task_that_all_remaining_hosts_have_passed_is_told_while_the_play_goes_on() -> None:
    out = io.StringIO()
    with Live(out, diff=False, verbosity=0) as live:
        live(PlayStarted("P", MANY, apart=True))
        live(started("A", (MANY[0],)))
        live(result(MANY[0], "A", "unreachable", msg="is it up?"))
        for host in MANY[1:]:
            live(started("B", (host,)))
            live(result(host, "B"))
        assert "499 ok" in out.getvalue() and "is it up" not in out.getvalue()
    assert "is it up?" in out.getvalue()


def test_hosts_that_each_speak_of_themselves_say_it_once() -> None:
    lost = [
        result(host, status="unreachable", msg=f"10.0.0.{number}:22 cannot be reached; try: ssh root@10.0.0.{number}")
        for number, host in enumerate(HOSTS[:2])
    ]
    lines = shown(PLAY, started(), *lost, result("gpu3", status="failed", msg="gpu3 lacks 10.9.9.9"))
    assert lines[2:8] == [
        "gpu1, gpu2", "HOST:22 cannot be reached; try: ssh root@HOST", "at site.yml:3:5",
        "gpu3", "gpu3 lacks 10.9.9.9", "at site.yml:3:5",
    ]  # fmt: skip
