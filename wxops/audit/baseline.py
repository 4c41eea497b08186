"""What changed on the hosts since a saved audit, and whether it matters: whether a verdict changed with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wxops.audit.finding import Verdict
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord
from wxops.audit.saved import SavedAudit, SavedHost

MOVING = frozenset({
    "collected", "seconds", "uptime_s", "boot_id", "memory_available", "free", "memory_used", "temperature", "power",
    "clocks_event_reasons", "processes", "generation", "replays", "last", "count", "notes", "containers", "deep",
})  # fmt: skip
"""Fields that move on a healthy host: a difference in them is no change. A rule that judges one tells it by itself."""
KEYS = ("uuid", "path", "name", "address", "code", "mount", "link", "index", "vendor")
"""By which of its fields an item of a list is known again; a GPU by its UUID before its index."""


@dataclass(frozen=True)
class Change:
    """A value of the record that is another now. before, after: "" where there was, or is, nothing."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class VerdictChange:
    """What a rule says of a thing now and said of it then; None: it was not judged. evidence and fix are today's."""

    rule: str
    subject: str
    before: Verdict | None
    after: Verdict | None
    evidence: str = ""
    fix: str = ""

    @property
    def worse(self) -> bool:
        """Is there more to do than there was?"""
        return _badness(self.after) > _badness(self.before)


@dataclass(frozen=True)
class HostChanges:
    """One host. presence: "new" or "gone", or that it stopped or began to answer; "" when both audits have it."""

    host: str
    presence: str = ""
    changes: tuple[Change, ...] = ()
    verdicts: tuple[VerdictChange, ...] = ()

    @property
    def matters(self) -> bool:
        """Did a verdict change, or did the host come or go? Other changes are told, and mattered to no rule."""
        return bool(self.presence or self.verdicts)

    @property
    def worse(self) -> bool:
        gone = self.presence in ("gone", "does not answer any more")
        return gone or any(change.worse for change in self.verdicts)


def _badness(verdict: Verdict | None) -> int:
    return {Verdict.FAIL: 3, Verdict.UNKNOWN: 2, Verdict.WARN: 1}.get(verdict, 0) if verdict else 0


def compare(before: SavedAudit, after: SavedAudit) -> tuple[HostChanges, ...]:
    """The hosts on which something changed, in the order of the newer audit, then those that are gone."""
    then = {host.host: host for host in before.hosts}
    now = {host.host: host for host in after.hosts}
    found = [_host(then.get(name), now.get(name), name) for name in [*now, *(name for name in then if name not in now)]]
    return tuple(each for each in found if each.presence or each.changes or each.verdicts)


def _host(before: SavedHost | None, after: SavedHost | None, name: str) -> HostChanges:
    if before is None or after is None:
        return HostChanges(name, "new" if before is None else "gone")
    if before.record is None or after.record is None:
        if before.record is after.record:
            return HostChanges(name)
        return HostChanges(name, "answers again" if before.record is None else "does not answer any more")
    changes = tuple(_changes(flat(before.record), flat(after.record)))
    return HostChanges(name, "", changes, tuple(_verdicts(before, after)))


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for what in [*after, *(what for what in before if what not in after)]:
        was, now = before.get(what, ""), after.get(what, "")
        if was != now:
            yield Change(what, was, now)


def _verdicts(before: SavedHost, after: SavedHost) -> Iterator[VerdictChange]:
    then = {(found.rule, found.subject): found for found in before.findings}
    now = {(found.rule, found.subject): found for found in after.findings}
    for key in [*now, *(key for key in then if key not in now)]:
        was, found = then.get(key), now.get(key)
        verdict_then, verdict_now = (was.verdict if was else None), (found.verdict if found else None)
        if _badness(verdict_then) != _badness(verdict_now):
            evidence, fix = (found.evidence, found.fix) if found else ("", "")
            yield VerdictChange(*key, verdict_then, verdict_now, evidence, fix)


def flat(record: HostRecord) -> dict[str, str]:
    """The record as path -> text ("nvidia.gpus[GPU-1].vbios" -> "96.00"), less the fields that move by themselves."""
    return dict(_flat(record, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Reading):
        if value.known:
            yield from _flat(value.value, path)
        else:
            yield path, value.state.replace("_", " ")
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            if each.name not in MOVING:
                yield from _flat(getattr(value, each.name), f"{path}.{each.name}".lstrip("."))
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            yield from _flat(item, f"{path}[{_key(item, at)}]")
    elif value not in (None, ""):
        yield path, str(value)


def _key(item: Any, at: int) -> str:
    """What an item of a list is known by; a plain value by itself, so that their order does not count."""
    if not dataclasses.is_dataclass(item):
        return str(item)
    for name in KEYS:
        value = getattr(item, name, None)
        value = value.value if isinstance(value, Reading) else value
        if value not in (None, ""):
            return str(value)
    return str(at)
