"""The layout that Ansible's users know: PLAY, TASK, a line a host, PLAY RECAP. For pipes, logs and quiet terminals."""

from __future__ import annotations

from typing import TextIO

import click

from wxops.console.diffs import unified
from wxops.console.results import as_text, failure, printable, short, visible
from wxops.engine.events import Event, Notice, Output, PlayStarted, Recap, TaskResult, TaskStarted

WIDTH = 79
COLORS = {"ok": "green", "changed": "yellow", "skipped": "cyan", "failed": "red", "unreachable": "bright_red",
          "ignored": "bright_blue", "rescued": "magenta"}  # fmt: skip


class Plain:
    """Writes events as lines. verbosity 1 shows results, 3 also tracebacks."""

    def __init__(self, out: TextIO, *, color: bool, diff: bool, verbosity: int) -> None:
        self._out, self._color, self._diff, self._verbosity = out, color, diff, verbosity

    def __call__(self, event: Event) -> None:
        match event:
            case PlayStarted():
                self._banner(f"PLAY [{event.name}]")
            case TaskStarted():
                self._banner(f"{'RUNNING HANDLER' if event.handler else 'TASK'} [{event.task}]")
            case TaskResult():
                self._result(event)
            case Output():
                self._line(f"{event.host} | {event.text}", "bright_black")
            case Notice():
                self._line(f"[NOTICE] {event.text}", "bright_magenta")
            case Recap():
                self._recap(event)
            case _:
                pass
        self._out.flush()

    def _banner(self, text: str) -> None:
        self._line("")
        self._line(f"{text} ".ljust(WIDTH, "*"))

    def _result(self, event: TaskResult) -> None:
        if self._diff and event.result.get("diff") and not (event.result.get("results") and not event.is_item):
            for line in unified(event.result["diff"]):
                self._line(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
        for warning in event.result.get("warnings", []):
            self._line(f"[WARNING]: {event.host}: {warning}", "bright_magenta")
        if (
            event.result.get("results") is not None
            and not event.is_item
            and event.status in ("ok", "changed", "skipped")
        ):
            return
        self._line(self._told(event), COLORS[event.status])
        if event.status in ("failed", "unreachable") and event.where and not event.is_item:
            self._line(f"  at {event.where}", "bright_black")
        if self._verbosity >= 3 and event.result.get("exception"):
            self._line(str(event.result["exception"]).rstrip(), "bright_black")

    def _told(self, event: TaskResult) -> str:
        item = f" => (item={short(event.item)})" if event.is_item else ""
        word = {"skipped": "skipping", "failed": "failed" if event.is_item else "fatal", "unreachable": "fatal",
                "ignored": "fatal", "rescued": "fatal"}.get(event.status, event.status)  # fmt: skip
        mark = {"failed": " FAILED!", "unreachable": " UNREACHABLE!", "ignored": " FAILED!", "rescued": " FAILED!"}
        tail = mark.get(event.status, "")
        text = f"{word}: [{event.host}]{':' if tail else ''}{tail}{item}"
        if tail:
            text += f" => {failure(event.result)}"
        elif event.module == "debug" and event.status == "ok":
            text += f" => {as_text(visible(event.result, changed=False))}"
        elif self._verbosity:
            text += f" => {as_text(visible(event.result))}"
        if event.status in ("ignored", "rescued"):
            text += f"\n...{'ignoring' if event.status == 'ignored' else 'rescued'}"
        return text

    def _recap(self, event: Recap) -> None:
        self._banner("PLAY RECAP")
        for host, counts in event.hosts.items():
            color = "red" if counts["failed"] or counts["unreachable"] else "yellow" if counts["changed"] else "green"
            numbers = " ".join(f"{name}={counts[name]:<4}" for name in counts)
            self._line(f"{host:<26} : {numbers}".rstrip(), color)
        self._line("")
        self._line(f"run {event.run}{' (interrupted)' if event.interrupted else ''}", "bright_black")

    def _line(self, text: str, color: str | None = None) -> None:
        if self._color:
            text = click.style(printable(text), fg=color)
        self._out.write(text + "\n")
