"""The layout that Ansible's users and their scripts know, line for line: PLAY, TASK, a line a host, PLAY RECAP."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from wxops.actions import catalog
from wxops.console import ansible_text
from wxops.console.results import printable
from wxops.engine.custom_stats import RUN
from wxops.engine.events import (
    Event,
    Included,
    Notice,
    Output,
    PlaybookEnded,
    PlayStarted,
    Recap,
    Retrying,
    RunStarted,
    TaskResult,
    TaskStarted,
)

COLORS = {"ok": "green", "changed": "yellow", "skipped": "cyan", "failed": "red", "unreachable": "bright_red",
          "ignored": "red", "rescued": "red"}  # fmt: skip
SHADES = {"+": "green", "-": "red", "@": "cyan"}
WENT_WRONG = ("failed", "unreachable", "ignored", "rescued")


class Plain:
    """Writes events as lines. verbosity 1 shows results, 2 where tasks stand, 3 also tracebacks.

    diff: show what changes; verbosity 3 then shows it in results, too.
    show_ok, show_skipped: without one of them, a task that has no other lines is not named either. err: for warnings.
    failed_to_stderr: failures go there too. show_custom_stats: what set_stats kept. width: of the banners.
    """

    def __init__(
        self, out: TextIO, *, color: bool, diff: bool, verbosity: int, err: TextIO | None = None,
        show_ok: bool = True, show_skipped: bool = True, failed_to_stderr: bool = False,
        show_custom_stats: bool = False,
        width: int = ansible_text.WIDTH,
    ) -> None:  # fmt: skip
        self._out, self._err = out, err or sys.stderr
        self._color, self._diff, self._verbosity = color, diff, verbosity
        self._width = width
        self._show_custom_stats = show_custom_stats
        self._show_ok, self._show_skipped, self._failed_to_stderr = show_ok, show_skipped, failed_to_stderr
        self._started: dict[tuple[str, str], TaskStarted] = {}  # by task and host: how its banner reads
        self._named: TaskStarted | None = None  # the task whose banner was written last
        self._loops: set[tuple[str, str]] = set()
        self._told: set[str] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted() if self._verbosity > 1:
                self._banner("PLAYBOOK: " + " ".join(Path(name).name for name in event.playbooks))
            case PlayStarted():
                self._play(event)
            case TaskStarted():
                self._task(event)
            case TaskResult():
                self._result(event)
            case Included():
                item = f" => (item={ansible_text.label(event.item)})" if event.item is not None else ""
                self._line(f"included: {event.what} for {', '.join(event.hosts)}{item}", "cyan")
            case Retrying():
                self._line(
                    f"FAILED - RETRYING: [{event.host}]: {event.task} ({event.left} retries left).", "bright_black"
                )
            case Output() if self._verbosity > 1:
                self._line(f"{event.host} | {event.text}", "bright_black")
            case Notice():
                self._warn(f"[WARNING]: {event.text}")
            case PlaybookEnded():
                self._counts(event.hosts)
            case Recap():
                self._counts(event.hosts)
                if self._show_custom_stats and event.stats:
                    self._custom_stats(event.stats)
                self._line(f"run {event.run}{' (interrupted)' if event.interrupted else ''}", "bright_black")
            case _:
                pass
        self._out.flush()

    def _play(self, event: PlayStarted) -> None:
        self._started.clear()
        self._named = None
        self._banner(f"PLAY [{event.name}]")
        if not event.hosts:
            self._line("skipping: no hosts matched", "cyan")

    def _task(self, event: TaskStarted) -> None:
        """Its banner, at once when it is shown whatever comes; one that hosts reach one by one is named once."""
        going_on = self._named is not None and _same(self._named, event) and self._is_open(self._named)
        self._started.update({(event.task, host): event for host in event.hosts})
        if going_on:
            return
        self._named = None
        if self._show_ok and self._show_skipped:
            self._name(event)

    def _is_open(self, event: TaskStarted) -> bool:
        return any(self._started.get((event.task, host)) is event for host in event.hosts)

    def _name(self, event: TaskStarted | None) -> None:
        """The task's banner, unless it is the last one that was written."""
        if event is None or (self._named is not None and _same(self._named, event)):
            return
        self._named = event
        self._banner(f"{'RUNNING HANDLER' if event.handler else 'TASK'} [{event.task}]")
        if self._verbosity > 1 and event.where:
            self._line(f"task path: {event.where.rpartition(':')[0]}", "bright_black")

    def _result(self, event: TaskResult) -> None:
        key = (event.task, event.host)
        started = self._started.get(key) if event.is_item else self._started.pop(key, None)
        of_loop = not event.is_item and (key in self._loops or _is_empty_loop(event))
        if event.is_item:
            self._loops.add(key)
        else:
            self._loops.discard(key)
        if (event.status == "ok" and not self._show_ok) or (event.status == "skipped" and not self._show_skipped):
            return
        self._name(started)
        if not of_loop:
            self._differences(event)
        self._warnings(event)
        if event.status in WENT_WRONG:
            self._failure(event, of_loop)
        elif event.is_item or not of_loop or event.status == "skipped":
            self._fine(event, of_loop)

    def _differences(self, event: TaskResult) -> None:
        if self._diff and event.result.get("changed") and event.result.get("diff"):
            for line in ansible_text.diff_lines(event.result["diff"]):
                self._line(line, SHADES.get(line[:1]))

    def _fine(self, event: TaskResult, of_loop: bool) -> None:
        if event.status == "ok" and event.module in ("include_tasks", "include_role"):
            return  # what they brought in is told
        text = f"{'skipping' if event.status == 'skipped' else event.status}: [{self._host(event)}]"
        if event.is_item:
            text += f" => (item={_item(event)})" + (" " if event.status == "skipped" else "")
        always = event.module in ansible_text.ALWAYS_SHOWN and event.status != "skipped" and not event.quiet
        if always or (self._verbosity and event.module not in ansible_text.NEVER_SHOWN):
            text += f" => {self._dump(event, of_loop)}"
        self._line(text, COLORS[event.status])

    def _failure(self, event: TaskResult, of_loop: bool) -> None:
        """The reason once for all hosts, then a line a host. Of a loop its items have told it."""
        if not of_loop:
            self._reason(event)
            head = "failed" if event.is_item else "fatal"
            mark = "UNREACHABLE!" if event.result.get("unreachable") else "FAILED!"
            middle = f" (item={_item(event)})" if event.is_item else f": {mark}"
            self._line(
                f"{head}: [{self._host(event)}]{middle} => {self._dump(event, False)}",
                COLORS[event.status],
                failed=True,
            )
            if self._verbosity >= 3 and event.result.get("exception"):
                self._line(str(event.result["exception"]).rstrip(), "bright_black", failed=True)
        if event.status == "ignored" and not event.is_item:
            self._line("...ignoring", "cyan")

    def _reason(self, event: TaskResult) -> None:
        if event.result.get("unreachable"):
            kind = ""
        else:
            kind = "Module failed: " if _runs_on_host(event.module) else "Action failed: "
        said = event.result.get("msg")
        message = f"Task failed: {kind}{said}" if said else "Task failed: Action failed."
        censored = "censored" in event.result
        text = "Task failed." if censored else message
        lines = list(ansible_text.error(text, event.where, source=not censored))
        if "\n".join(lines) not in self._told:
            self._told.add("\n".join(lines))
            self._lines(lines, "red", failed=True)

    def _warnings(self, event: TaskResult) -> None:
        for warning in event.result.get("warnings") or []:
            self._warn(f"[WARNING]: {warning}")

    def _host(self, event: TaskResult) -> str:
        return f"{event.host} -> {event.delegate}" if event.delegate else event.host

    def _dump(self, event: TaskResult, of_loop: bool) -> str:
        """Without --diff no -v shows what a file holds: there may be secrets in it."""
        result = event.result if self._diff or "diff" not in event.result else {**event.result, "diff": []}
        return ansible_text.dump(event.module, result, self._verbosity, of_loop, event.quiet)

    def _counts(self, hosts: Mapping[str, Mapping[str, int]]) -> None:
        self._banner("PLAY RECAP")
        for host, counts in sorted(hosts.items()):
            color = "red" if counts["failed"] or counts["unreachable"] else "yellow" if counts["changed"] else "green"
            numbers = " ".join(self._count(name, count) for name, count in counts.items())
            self._out.write(f"{self._styled(host, color)}{' ' * (26 - len(host))} : {numbers}\n")
        self._line("")

    def _custom_stats(self, stats: Mapping[str, Mapping[str, Any]]) -> None:
        """Those of hosts, then those of the whole run."""
        self._banner("CUSTOM STATS: ")
        named = [*((host, stats[host]) for host in sorted(stats) if host != RUN), ("RUN", stats.get(RUN))]
        for name, figures in named:
            if figures is not None:
                self._line(f"\t{name}: {json.dumps(figures, indent=1, sort_keys=True, default=str)}".replace("\n", ""))
        self._line("")

    def _count(self, name: str, count: int) -> str:
        text = f"{name}={count:<4}"
        return self._styled(text, {**COLORS, "rescued": "green", "ignored": "magenta"}[name]) if count else text

    def _styled(self, text: str, color: str) -> str:
        return click.style(printable(text), fg=color) if self._color else text

    def _banner(self, text: str) -> None:
        self._lines(["", ansible_text.banner(text, self._width)])

    def _lines(self, lines: Iterable[str], color: str | None = None, failed: bool = False) -> None:
        for line in lines:
            self._line(line, color, failed)

    def _line(self, text: str, color: str | None = None, failed: bool = False) -> None:
        if self._color:
            text = click.style(printable(text), fg=color) if color else printable(text)
        (self._err if failed and self._failed_to_stderr else self._out).write(text + "\n")

    def _warn(self, text: str) -> None:
        """On stderr, each once."""
        if text not in self._told:
            self._told.add(text)
            self._out.flush()
            self._err.write((click.style(printable(text), fg="bright_magenta") if self._color else text) + "\n")
            self._err.flush()


def _same(one: TaskStarted, other: TaskStarted) -> bool:
    return (one.play, one.task, one.where, one.handler) == (other.play, other.task, other.where, other.handler)


def _item(event: TaskResult) -> str:
    return ansible_text.CENSORED_ITEM if "censored" in event.result else ansible_text.label(event.item)


def _runs_on_host(module: str) -> bool:
    try:
        return catalog.module(module).runs != "action"
    except Exception:
        return True  # what a rollback or another command calls its steps


def _is_empty_loop(event: TaskResult) -> bool:
    """dnf returns `results` as well, and none when it had nothing to do."""
    return event.status == "skipped" and event.result.get("results") == []
