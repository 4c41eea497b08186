"""Recorded runs as people read them: a table of all, the story of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wxops.console.diffs import unified
from wxops.engine.judging import item_results
from wxops.engine.record import PastRun

COLUMNS = ("RUN", "STARTED", "USER", "WHAT", "REVISION", "HOSTS", "CHANGED", "FAILED", "END")


def runs_table(runs: list[PastRun]) -> str:
    """One line a run."""
    if not runs:
        return "no run is recorded yet"
    rows = [COLUMNS, *(_row(past) for past in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(past: PastRun) -> tuple[str, ...]:
    about, hosts = past.about, past.about.get("hosts", {})
    failed = sum(counts.get("failed", 0) + counts.get("unreachable", 0) for counts in hosts.values())
    return (
        past.run,
        str(about.get("started", "")),
        str(about.get("user", "")),
        what(about),
        str(about.get("revision") or "-"),
        str(len(hosts)),
        str(past.changed),
        str(failed),
        _end(about),
    )


def what(about: Any) -> str:
    if about.get("kind") == "rollback":
        return f"rollback of {about.get('of')}"
    names = ",".join(Path(path).name for path in about.get("playbooks", []))
    return f"{names} --check" if about.get("check") else names


def _end(about: Any) -> str:
    if about.get("taken_back_by"):
        return f"taken back by {about['taken_back_by']}"
    if "exit_code" not in about:
        return "never ended"
    return {0: "ok", 2: "failed", 4: "unreachable", 130: "interrupted"}.get(
        about["exit_code"], f"exit {about['exit_code']}"
    )


def run_line(past: PastRun, events: bool = False) -> str:
    """A run as one JSON object."""
    about = dict(past.about)
    if events:
        about["events"] = list(past.events())
    return json.dumps(about, ensure_ascii=False)


def run_details(past: PastRun, host: str | None, color: bool) -> Iterator[str]:
    """Who ran what, then each change with its diff."""
    about = past.about
    yield f"run       {past.run}  ({_end(about)})"
    yield f"what      {what(about)}"
    yield f"who       {about.get('user')} on {about.get('controller')}, wxops {about.get('wxops')}"
    yield f"when      {about.get('started')} to {about.get('ended', '?')}"
    yield f"revision  {about.get('revision') or 'the playbooks are not in git'}"
    for name, counts in about.get("hosts", {}).items():
        if host in (None, name):
            yield f"host      {name}: " + " ".join(f"{key}={value}" for key, value in counts.items() if value)
    for event in past.events():
        if event["event"] == "task" and host in (None, event["host"]):
            yield from _change(event, color)


def _change(event: Any, color: bool) -> Iterator[str]:
    if event["status"] not in ("changed", "failed", "unreachable"):
        return
    yield ""
    yield f"{event['status']:<11} {event['host']}  {event['task']}"
    result = event["result"]
    if event["status"] != "changed":
        yield f"            {result.get('msg', '')}"
    diffs = [d for each in [result, *item_results(result)] for d in each.get("diff", [])]
    for line in unified(diffs):
        shade = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        yield "    " + (click.style(line, fg=shade) if color and shade else line)
