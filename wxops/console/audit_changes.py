"""What changed since a saved audit, for people: what matters first, then what changed without a rule minding it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from wxops.audit.baseline import HostChanges, VerdictChange
from wxops.audit.finding import Verdict
from wxops.console.audit_table import COLORS, WORDS
from wxops.console.results import printable


def lines(found: Sequence[HostChanges], color: bool) -> Iterator[str]:
    """A paragraph a host; one line when nothing changed anywhere."""
    if not found:
        yield "nothing changed since that audit"
    for host in found:
        told = host.presence or ("it matters" if host.matters else "no verdict changed by it")
        yield f"{printable(host.host)}: {told}"
        for verdict in host.verdicts:
            yield f"  {_verdict(verdict, color)}"
        for change in host.changes:
            yield f"  {printable(change.what)}: {_value(change.before)} -> {_value(change.after)}"
        yield ""


def _verdict(change: VerdictChange, color: bool) -> str:
    words = " -> ".join(_word(verdict, color) for verdict in (change.before, change.after))
    evidence = f": {printable(change.evidence)}" if change.evidence else ""
    fix = f" -> {printable(change.fix)}" if change.fix and change.worse else ""
    return f"{words}  {change.rule}  {printable(change.subject)}{evidence}{fix}"


def _word(verdict: Verdict | None, color: bool) -> str:
    if verdict is None:
        return "not judged"
    return click.style(WORDS[verdict], fg=COLORS[verdict]) if color else WORDS[verdict]


def _value(text: str) -> str:
    return printable(text) or "nothing"
