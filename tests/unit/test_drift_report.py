"""The report of `wxops drift`: what stands in it, in which shape, and with which exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wxops.console.drift_report import as_json, json_lines, lines
from wxops.engine.drift import Drifted, HostDrift, Report, Setter

SETTER = Setter("20261122-101112-abcd", "Greet", "2026-11-22T10:11:12Z", "ops")
DIFF = {"before_header": "/etc/motd", "after_header": "/etc/motd", "before": "bye\n", "after": "hi\n"}
MOTD = Drifted("gpu1", "/etc/motd", "host", "Greet", "copy", "site.yml:4:7", SETTER, [DIFF])
NONE, DRIFT = HostDrift("none"), HostDrift("drift", (MOTD,))


def report(**hosts: HostDrift) -> Report:
    return Report("20261122-120000-0000", ("/p/site.yml",), hosts)


def test_people_read_what_where_who_and_the_difference() -> None:
    assert list(lines(report(gpu1=DRIFT, gpu2=NONE, gpu3=NONE), color=False)) == [
        "gpu1: 1 thing drifted",
        "  /etc/motd",
        "    set by run 20261122-101112-abcd (ops, 2026-11-22T10:11:12Z), task Greet",
        "    changed on the host since",
        "    would be set by Greet at site.yml:4:7",
        "    --- before: /etc/motd",
        "    +++ after: /etc/motd",
        "    @@ -1 +1 @@",
        "    -bye",
        "    +hi",
        "",
        "as it was left: gpu2, gpu3",
    ]


def test_a_host_that_cannot_be_told_is_never_among_those_as_they_were_left() -> None:
    lost = HostDrift("unreachable", problem="no route to host")
    assert list(lines(report(gpu1=lost), color=False)) == ["gpu1: cannot be told whole: no route to host", ""]


def test_a_host_cannot_drive_the_terminal() -> None:
    evil = Drifted("gpu1", "/tmp/\x1b]0;x\x07", "unknown", diff=[{**DIFF, "before": "\x1b[2J\n"}])
    text = "\n".join(lines(report(gpu1=HostDrift("drift", (evil,))), color=True))
    assert "\x1b]" not in text and "\x1b[2J" not in text and "\\x1b[2J" in text


def test_programs_read_one_object_or_a_line_a_thing() -> None:
    found = report(gpu1=DRIFT, gpu2=HostDrift("failed", problem="Check: no"))
    whole: Any = json.loads(json.dumps(as_json(found)))
    (motd,) = whole["hosts"]["gpu1"]["drift"]
    assert (motd["name"], motd["cause"], motd["set_by"]["run"], motd["diff"]) == (
        "/etc/motd", "host", "20261122-101112-abcd", [DIFF],
    )  # fmt: skip
    assert whole["hosts"]["gpu2"] == {"status": "failed", "drift": [], "problem": "Check: no"}
    first, last = map(json.loads, json_lines(found))
    assert (first["event"], first["host"], first["name"]) == ("drift", "gpu1", "/etc/motd")
    assert last["hosts"]["gpu1"] == {"status": "drift", "drifted": 1} and last["event"] == "recap"


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ((), 0),
        (("none", "none"), 0),
        (("none", "drift"), 2),
        (("drift", "failed"), 1),
        (("drift", "failed", "unreachable"), 4),
    ],
)
def test_the_exit_code_tells_the_worst(statuses: tuple[Any, ...], code: int) -> None:
    assert report(**{f"gpu{number}": HostDrift(status) for number, status in enumerate(statuses)}).exit_code == code
