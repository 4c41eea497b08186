"""A task as the live view follows it: the hosts it waits for, how it went on the others, and what they have to tell."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import click

from wxops.console.diffs import unified
from wxops.console.results import as_text, failure, printable, short, visible
from wxops.engine.events import COUNTS, TaskResult, TaskStarted
from wxops.engine.judging import item_results

COLORS = {"ok": "green", "changed": "yellow", "skipped": "cyan", "failed": "red", "unreachable": "red",
          "ignored": "blue", "rescued": "magenta"}  # fmt: skip
ADDRESS = r"(?:\d{1,3}\.){3}\d{1,3}|\[?[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*\]?"
WENT_WRONG = ("failed", "unreachable", "ignored", "rescued")
SHADES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass
class OpenTask:
    """One task on the hosts that take part in it; where each goes on its own, on those that have come to it so far."""

    event: TaskStarted
    diff: bool
    verbosity: int
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    hosts: list[str] = field(init=False)
    waiting: dict[str, None] = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)
    told: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts, self.waiting = list(self.event.hosts), dict.fromkeys(self.event.hosts)

    def takes_in(self, event: TaskStarted) -> bool:
        """Is it the same task, begun by a host that was not in it yet?"""
        own = self.event
        same = (own.task, own.where, own.handler) == (event.task, event.where, event.handler)
        return same and event.hosts[0] not in self.hosts

    def join(self, event: TaskStarted) -> None:
        self.hosts.extend(event.hosts)
        self.waiting.update(dict.fromkeys(event.hosts))

    @property
    def seconds(self) -> float:
        return (time.monotonic() if self.waiting else self.ended) - self.started

    @property
    def failed(self) -> bool:
        return bool(self.counts["failed"] or self.counts["unreachable"])

    def take(self, event: TaskResult) -> None:
        """Note a result. What it has to tell is kept until the task ends: hosts that say the same say it once."""
        lines = list(self._told(event))
        if lines:
            self.told.setdefault(event.host, []).extend(lines)
        if event.is_item:
            return
        self.counts[event.status] += 1
        self.waiting.pop(event.host, None)
        self.ended = time.monotonic()
        if event.status in ("failed", "unreachable"):
            if event.status == "unreachable":
                self.unreachable.add(event.host)
            self.wrong[event.host] = printable(failure(event.result)).partition("\n")[0]

    def summary(self) -> list[tuple[str, str]]:
        """(text, colour) for each status, in the recap's order; of a host alone only the status."""
        alone = len(self.hosts) == 1
        return [(status if alone else f"{self.counts[status]} {status}", COLORS[status])
                for status in COUNTS if self.counts[status]]  # fmt: skip

    def same(self) -> Iterator[tuple[list[str], list[str]]]:
        """(hosts, lines): hosts that told the same, together; also where each only speaks of itself, as HOST then."""
        by_shape: dict[tuple[str, ...], list[str]] = {}
        places = {host: place for place, host in enumerate(self.hosts)}
        for host in sorted(self.told, key=lambda host: places.get(host, len(places))):
            by_shape.setdefault(tuple(self._shape(host)), []).append(host)
        for shape, hosts in by_shape.items():
            alike = all(self.told[host] == self.told[hosts[0]] for host in hosts)
            yield hosts, self.told[hosts[0]] if alike else list(shape)

    def _shape(self, host: str) -> Iterator[str]:
        """What a host told without its name; one that was not reached is spoken of by its address, too."""
        own = re.escape(host) + (f"|{ADDRESS}" if host in self.unreachable else "")
        return (
            re.sub(rf"(?:(?<![\w.-])|(?<=\x1b\[\d\dm))(?:{own})(?![\w-])", "HOST", line) for line in self.told[host]
        )

    def _told(self, event: TaskResult) -> Iterator[str]:
        result = event.result
        of_loop = bool(item_results(result)) and not event.is_item
        item = f"({short(event.item)}) " if event.is_item else ""
        if self.diff and result.get("diff") and not of_loop:
            for line in unified(result["diff"]):
                yield click.style(printable(line), fg=SHADES.get(line[:1]), dim=line[:1] not in SHADES)
        for warning in result.get("warnings", []):
            yield click.style(f"warning: {printable(warning)}", fg="magenta")
        if event.status in WENT_WRONG:
            if not (of_loop and event.host in self.told):
                yield from self._failure(event, item)
        elif event.module == "debug" and event.status == "ok":
            yield from _lines(item + _said(visible(result, changed=False)))
        elif self.verbosity and event.status != "skipped" and not of_loop:
            yield from _lines(f"{item}{as_text(visible(result))}")

    def _failure(self, event: TaskResult, item: str) -> Iterator[str]:
        color = COLORS[event.status]
        note = {"ignored": "ignored: ", "rescued": "rescued: "}.get(event.status, "")
        yield from _lines(note + item + failure(event.result), color)
        if event.where and event.status in ("failed", "unreachable"):
            yield click.style(f"  at {event.where}", dim=True)
        if self.verbosity >= 3 and event.result.get("exception"):
            yield from _lines(str(event.result["exception"]).rstrip(), dim=True)


def _said(values: dict[str, object]) -> str:
    """A debug message as it is; anything else as JSON."""
    if set(values) == {"msg"} and isinstance(values["msg"], str):
        return values["msg"]
    return as_text(values)


def _lines(text: str, color: str | None = None, dim: bool | None = None) -> Iterator[str]:
    for line in printable(text).split("\n"):
        yield click.style(line, fg=color, dim=dim)
