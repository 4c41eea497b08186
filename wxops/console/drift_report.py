"""What drifted, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import click

from wxops.console.ansible_text import diff_lines
from wxops.console.results import printable
from wxops.engine.drift import Drifted, HostDrift, Report

CAUSES = {
    "host": "changed on the host since",
    "playbook": "as that run left it; the playbook says otherwise by now",
    "unknown": "no journal on the host knows of it",
}
COLORS = {"none": "green", "drift": "yellow", "failed": "red", "unreachable": "bright_red"}
SHADES = {"+": "green", "-": "red", "@": "cyan"}


def lines(report: Report, color: bool) -> Iterator[str]:
    """A paragraph a host; hosts on which nothing drifted stand in one line at the end."""
    for host, found in report.hosts.items():
        if found.status != "none":
            yield _styled(f"{host}: {_summary(found)}", COLORS[found.status], color)
            for drifted in found.drifted:
                yield from _of(drifted, color)
            yield ""
    fine = [host for host, found in report.hosts.items() if found.status == "none"]
    if fine:
        yield _styled(f"as it was left: {', '.join(fine)}", "green", color)
    if not report.hosts:
        yield "no hosts matched"


def _summary(found: HostDrift) -> str:
    count = len(found.drifted)
    things = f"{count} thing{'' if count == 1 else 's'} drifted" if count else ""
    problem = f"cannot be told whole: {printable(found.problem)}" if found.problem else ""
    return "; ".join(filter(None, [things, problem]))


def _of(drifted: Drifted, color: bool) -> Iterator[str]:
    yield f"  {printable(drifted.name)}"
    by = drifted.set_by
    if by is not None:
        who = ", ".join(filter(None, [by.user, by.started]))
        yield f"    set by run {by.run}{f' ({who})' if who else ''}, task {printable(by.task)}"
    yield f"    {CAUSES[drifted.cause]}"
    if drifted.task:
        yield f"    would be set by {printable(drifted.task)}{f' at {drifted.where}' if drifted.where else ''}"
    for line in diff_lines(drifted.diff):
        if line:
            yield "    " + _styled(printable(line), SHADES.get(line[:1]), color)


def _styled(text: str, shade: str | None, color: bool) -> str:
    return click.style(text, fg=shade) if color and shade else text


def as_json(report: Report) -> dict[str, Any]:
    """The whole report as one object."""
    hosts = {host: _host(found) for host, found in report.hosts.items()}
    return {"checked": report.checked, "playbooks": list(report.playbooks), "hosts": hosts}


def json_lines(report: Report) -> Iterator[str]:
    """A line for each thing that drifted, then one with what became of each host."""
    for found in report.hosts.values():
        for drifted in found.drifted:
            yield _line({"event": "drift", **_plain(drifted)})
    hosts = {host: {"status": found.status, "drifted": len(found.drifted), **_problem(found)}
             for host, found in report.hosts.items()}  # fmt: skip
    yield _line({"event": "recap", "run": report.checked, "hosts": hosts})


def _host(found: HostDrift) -> dict[str, Any]:
    drifted = [{name: value for name, value in _plain(each).items() if name != "host"} for each in found.drifted]
    return {"status": found.status, "drift": drifted, **_problem(found)}


def _problem(found: HostDrift) -> dict[str, str]:
    return {"problem": found.problem} if found.problem else {}


def _plain(drifted: Drifted) -> dict[str, Any]:
    return {**dataclasses.asdict(drifted), "diff": [dict(diff) for diff in drifted.diff]}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
