"""A run on a terminal: a line a finished task, failures and diffs as they come, below them what is awaited now."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.text import Text

from wxops.console.diffs import unified
from wxops.console.plain import Plain
from wxops.engine.events import Event, Notice, Output, PlayStarted, Recap, TaskResult, TaskStarted

SHOWN_HOSTS = 12
STYLES = {"ok": "green", "changed": "yellow", "skipped": "cyan", "failed": "bold red", "unreachable": "bold red",
          "ignored": "blue", "rescued": "magenta"}  # fmt: skip


class Live:
    """Shows events with rich. Results that people asked for with -v are printed as the plain console prints them."""

    def __init__(self, out: TextIO, *, diff: bool, verbosity: int) -> None:
        self._console = Console(file=out, highlight=False)
        self._diff, self._verbosity = diff, verbosity
        self._plain = Plain(out, color=True, diff=diff, verbosity=verbosity)
        self._live = RichLive(console=self._console, refresh_per_second=8, transient=True)
        self._task: TaskStarted | None = None
        self._started = 0.0
        self._waiting: list[str] = []
        self._statuses: Counter[str] = Counter()

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_task()
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case PlayStarted():
                self._close_task()
                self._console.print(
                    Text(f"\n{event.name}", style="bold"), Text(f"  {len(event.hosts)} hosts", style="dim")
                )
            case TaskStarted():
                self._close_task()
                self._task, self._started, self._waiting = event, time.monotonic(), list(event.hosts)
            case TaskResult():
                self._result(event)
            case Output():
                self._console.print(Text(f"    {event.host} │ {event.text}", style="dim"))
            case Notice():
                self._console.print(Text(f"! {event.text}", style="bold magenta"))
            case Recap():
                self._close_task()
                self._live.stop()
                self._plain(event)
            case _:
                pass
        self._live.update(self._now())

    def _result(self, event: TaskResult) -> None:
        if self._diff and event.result.get("diff"):
            for line in unified(event.result["diff"]):
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
                self._console.print(Text(f"    {event.host} {line}", style=style))
        for warning in event.result.get("warnings", []):
            self._console.print(Text(f"    {event.host} warning: {warning}", style="magenta"))
        if event.is_item:
            return
        self._statuses[event.status] += 1
        if event.host in self._waiting:
            self._waiting.remove(event.host)
        told = event.module == "debug" or self._verbosity
        if event.status in ("failed", "unreachable", "ignored", "rescued") or (told and event.status != "skipped"):
            self._plain(event)

    def _close_task(self) -> None:
        """The finished task as one line."""
        if self._task is None:
            return
        counts = [Text(f"{number} {status}", style=STYLES[status]) for status, number in self._statuses.items()]
        mark = "✗" if self._statuses["failed"] or self._statuses["unreachable"] else "✓"
        took = f"{time.monotonic() - self._started:.1f}s"
        self._console.print(
            Text(f"  {mark} {self._task.task}  ").append_text(Text("  ").join(counts)), Text(took, style="dim")
        )
        self._task = None
        self._statuses.clear()

    def _now(self) -> Group:
        """The task that runs, and the hosts that it waits for."""
        if self._task is None:
            return Group()
        done = len(self._task.hosts) - len(self._waiting)
        lines: list[Spinner | Text] = [Spinner("dots", f" {self._task.task}  {done}/{len(self._task.hosts)}")]
        lines += [Text(f"      {host}", style="dim") for host in self._waiting[:SHOWN_HOSTS]]
        if len(self._waiting) > SHOWN_HOSTS:
            lines.append(Text(f"      and {len(self._waiting) - SHOWN_HOSTS} more", style="dim"))
        return Group(*lines)
