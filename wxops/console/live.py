"""A run on a terminal: a line for each finished task, what its hosts had to tell, and below it what is awaited now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

import click
from rich.cells import cell_len

from wxops.console.log import Log
from wxops.console.open_task import COLORS, OpenTask
from wxops.console.progress import FEW, Progress, took
from wxops.console.region import Region, fit
from wxops.console.results import printable
from wxops.engine.events import Event, Notice, Output, PlayStarted, Recap, RunStarted, TaskResult, TaskStarted

WIDEST = 100  # beyond it an eye no longer finds the end of its line
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHOWN_TASKS, SHOWN_FAILURES, SHOWN_HOSTS = 8, 5, 12
SHOWN_NAMES = 40  # columns
SHOWN_GROUPS = 20  # of hosts that told different things
MARKS = {"at work": ("", "cyan"), "waiting": ("✓", "green"), "failed": ("✗", "red")}


class Live:
    """Shows events. Lines that stay are written once; what is going on is drawn over by `Region`, or told by `Log`."""

    def __init__(self, out: TextIO, *, diff: bool, verbosity: int, always_draw: bool = False) -> None:
        """always_draw: `out` is a terminal, whatever it says of itself."""
        self._diff, self._verbosity = diff, verbosity
        self._region: Region | Log = Region(out, self._now) if out.isatty() or always_draw else Log(out, self._now)
        self._progress = Progress()
        self._open: list[OpenTask] = []
        self._hosts: tuple[str, ...] = ()
        self._lost: set[str] = set()
        self._apart = False
        self._began = time.monotonic()
        self._takes_back = self._check = False

    def __enter__(self) -> Live:
        self._region.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_all()
        self._region.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case RunStarted():
                self._check = event.check
                self._takes_back = any(name.startswith("rollback of ") for name in event.playbooks)
                if event.check:
                    self._say([click.style("Check mode: no host is changed.", fg="cyan", bold=True)])
            case PlayStarted():
                self._end_all()
                self._hosts, self._lost = event.hosts, set()
                self._apart = event.apart and len(event.hosts) > FEW
                count = click.style(f"  {_hosts(len(event.hosts))}", dim=True)
                self._say(["", click.style(printable(event.name), bold=True) + count])
            case TaskStarted():
                self._start(event)
            case TaskResult():
                self._result(event)
            case Output():
                self._say([click.style(f"      {event.host} │ {printable(event.text)}", dim=True)])
            case Notice():
                self._say([click.style(f"  ! {printable(event.text)}", fg="magenta")])
            case Recap():
                self._end_all()
                self._say([*self._recap(event)])

    def _say(self, lines: list[str]) -> None:
        self._region.above("".join(line + "\n" for line in lines))

    def _start(self, event: TaskStarted) -> None:
        """Many hosts that go on by themselves come to the same task one by one, and share its line."""
        joined = next((task for task in self._open if task.takes_in(event)), None) if self._apart else None
        if joined is not None:
            joined.join(event)
        else:
            self._open = [*self._open, OpenTask(event, self._diff, self._verbosity)]

    def _result(self, event: TaskResult) -> None:
        task = next((t for t in self._open if t.event.task == event.task and event.host in t.waiting), None)
        if task is None:
            return
        task.take(event)
        if not self._apart:
            ended = [] if task.waiting else [task]
        else:
            self._lost |= {event.host} if event.status in ("failed", "unreachable") and not event.is_item else set()
            ended = [each for each in self._open if not each.waiting and self._all_came(each)]
        for each in ended:
            self._end(each)

    def _all_came(self, task: OpenTask) -> bool:
        """Have all hosts been in it that can still come?"""
        return len(self._lost.union(task.hosts)) >= len(self._hosts)

    def _end_all(self) -> None:
        """Also of tasks that were interrupted."""
        for task in list(self._open):
            self._end(task)

    def _end(self, task: OpenTask) -> None:
        self._open = [other for other in self._open if other is not task]
        self._say([self._title(task), *self._told(task)])

    def _title(self, task: OpenTask) -> str:
        """✓ name          3 ok  2 changed  1.3s"""
        if task.waiting:
            mark, color = "■", "magenta"
        elif task.failed:
            mark, color = "✗", "red"
        else:
            mark, color = "✓", "yellow" if task.counts["changed"] else "green"
        if not task.waiting and not task.counts.keys() - {"skipped"}:
            mark, color = "·", "cyan"
        counts = task.summary()
        if task.waiting:
            counts.append((f"{_hosts(len(task.waiting))} unfinished", "magenta"))
        quiet = not task.failed and not task.counts["changed"]
        return self._line(mark, color, task, counts, dim=quiet)

    def _line(self, mark: str, color: str, task: OpenTask, counts: list[tuple[str, str]], dim: bool = False) -> str:
        width = min(self._region.size()[0], WIDEST) - 1
        alone = f"{task.hosts[0]} " if len(task.hosts) == 1 < len(self._hosts) else ""
        right = f"{alone}{'  '.join(text for text, _ in counts)}{took(task.seconds):>8}"
        name = f"{task.event.task}{' (handler)' if task.event.handler else ''}"
        left = fit(printable(name), max(8, width - cell_len(right) - 5))
        styled = "  ".join(click.style(text, fg=shade, dim=dim) for text, shade in counts)
        lasted = click.style(f"{took(task.seconds):>8}", dim=True)
        return f"  {click.style(mark, fg=color)} {click.style(left, dim=dim)} {alone}{styled}{lasted}"

    def _told(self, task: OpenTask) -> Iterator[str]:
        """What the hosts said, hosts that said the same together."""
        said = list(task.same())
        more = sum(len(hosts) for hosts, _ in said[SHOWN_GROUPS:])
        said = said[:SHOWN_GROUPS]
        widest = min(max((cell_len(_names(hosts)) for hosts, _ in said), default=0), SHOWN_NAMES)
        for hosts, lines in said:
            names = _names(hosts) if len(self._hosts) > 1 else ""
            if names and len(lines) == 1 and cell_len(names) <= widest:
                yield f"      {click.style(fit(names, widest), bold=True)}  {lines[0]}"
                continue
            if names:
                yield f"      {click.style(names, bold=True)}"
            yield from (f"        {line}" for line in lines)
        if more:
            yield f"      and {_hosts(more)} more, each with something else: the run's record has it all"

    def _now(self, width: int, height: int) -> list[str]:
        """The tasks that run, whom they wait for, who failed, how far each host is. Called by the ticker's thread."""
        tasks = [task for task in self._open if task.event.module != "pause"]  # which talks to the operator itself
        lines: list[str] = []
        spin = SPINNER[int((time.monotonic() - self._began) * 10) % len(SPINNER)]
        for task in tasks[:SHOWN_TASKS]:
            waiting, wrong = list(task.waiting), dict(task.wrong)
            total = len(self._hosts) if self._apart else len(task.hosts)
            counts = [(f"{len(task.hosts) - len(waiting)}/{total}", "cyan")] if total > 1 else []
            lines.append(self._line(spin, "cyan", task, counts))
            if total > 1 and len(tasks) == 1:
                lines.append(click.style(fit(f"      {_names(waiting, width - 7)}", width - 1).rstrip(), dim=True))
            for host, message in list(wrong.items())[:SHOWN_FAILURES]:
                lines.append(click.style(fit(f"    ✗ {host}  {message}", width - 1).rstrip(), fg="red"))
        if len(tasks) > SHOWN_TASKS:
            lines.append(click.style(f"    and {len(tasks) - SHOWN_TASKS} more tasks", dim=True))
        shown = [*lines, *self._overview(spin, width)] if tasks else []
        room = height - 2
        return shown if len(shown) <= room else [*shown[: room - 1], shown[-1]]

    def _overview(self, spin: str, width: int) -> Iterator[str]:
        """A line for each host where they are few, and how far the run is."""
        hosts = self._progress.lines()
        widest = max((cell_len(name) for name, _, _ in hosts), default=0)
        for name, state, text in hosts:
            mark, color = MARKS[state]
            line = fit(f"{fit(printable(name), widest)}  {printable(text)}", width - 7).rstrip()
            yield f"    {click.style(mark or spin, fg=color)} {line}"
        yield click.style(fit(f"  {printable(self._progress.summary())}", width - 1).rstrip(), dim=True)

    def _recap(self, event: Recap) -> Iterator[str]:
        """A line for all hosts that came to the same, those that went wrong last, where the eye is."""
        alike: dict[tuple[tuple[str, int], ...], list[str]] = {}
        for host, numbers in event.hosts.items():
            alike.setdefault(tuple((name, count) for name, count in numbers.items() if count), []).append(host)
        widest = min(max((cell_len(_names(hosts)) for hosts in alike.values()), default=0), SHOWN_NAMES)
        yield ""
        for counts, hosts in sorted(alike.items(), key=lambda entry: _is_wrong(dict(entry[0]))):
            mark = click.style("✗", fg="red") if _is_wrong(dict(counts)) else click.style("✓", fg="green")
            shown = "  ".join(click.style(f"{count} {name}", fg=COLORS[name]) for name, count in counts)
            names = _names(hosts)
            yield f"  {mark} {click.style(fit(names, max(widest, cell_len(names))), bold=True)}  {shown}"
        end = "interrupted after" if event.interrupted else "took"
        yield click.style(f"  run {event.run} {end} {took(time.monotonic() - self._began)}", dim=True)
        if any(counts.get("changed") for counts in event.hosts.values()) and not (self._check or self._takes_back):
            yield click.style(f"  back: wxops rollback {event.run}", dim=True)


def _is_wrong(counts: dict[str, int]) -> bool:
    return bool(counts.get("failed") or counts.get("unreachable"))


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"


def _names(hosts: list[str], room: int = WIDEST - 10) -> str:
    """As many as there are columns for, and how many more there are."""
    for shown in range(min(len(hosts), SHOWN_HOSTS), 0, -1):
        more = f" and {len(hosts) - shown} more" if len(hosts) > shown else ""
        text = ", ".join(hosts[:shown]) + more
        if cell_len(text) <= room:
            break
    return text if hosts else ""
