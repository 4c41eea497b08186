"""An audit as a table for people: hosts with the worst first, and beside each finding the change that mends it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import click

from wxops.audit.finding import Finding, Verdict
from wxops.audit.report import Audit, HostAudit
from wxops.audit.subjects import nvidia_cards
from wxops.console.results import printable

COLORS = {
    Verdict.FAIL: "red", Verdict.UNKNOWN: "magenta", Verdict.WARN: "yellow",
    Verdict.PASS: "green", Verdict.SKIPPED: "cyan", Verdict.NOT_SUPPORTED: "cyan",
}  # fmt: skip
WORDS = {verdict: verdict.value.replace("_", " ") for verdict in Verdict}
PROBLEMS = frozenset({Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN})
OTHERS = {"amd": "AMD", "gaudi": "Gaudi"}
MUTE = "a GPU that does not answer"
INDENT = "  "
LONGEST = 2000
"""Characters of one of a host's texts; the rest of it is in --json."""
LEAST = 40
"""Columns for what was found; on a terminal with fewer beside the rule, it stands below the rule."""


def lines(audit: Audit, color: bool, whole: bool, columns: int | None = None) -> Iterator[str]:
    """A paragraph a host. whole: what passed, was skipped or is not supported has lines, too.

    columns: of the terminal; a longer finding is broken there, and its fix begins a line. None: a finding is a line.
    """
    for host in sorted(audit.hosts, key=lambda host: host.gravity):
        yield from _host(host, color, whole, columns)
    yield summary(audit)


def _host(host: HostAudit, color: bool, whole: bool, columns: int | None) -> Iterator[str]:
    name = printable(host.host)
    yield f"{click.style(name, bold=True) if color else name}: {one_line(_told(host))}"
    if host.problem:
        first, *rest = printable(host.problem).splitlines()
        yield f"{INDENT}{_mark(Verdict.UNKNOWN, color)}  {first}"
        margin = " " * len(f"{INDENT}{_mark(Verdict.UNKNOWN, False)}  ")
        yield from (f"{margin}-> {line.strip()}" for line in rest)
    shown = [finding for finding in host.findings if whole or finding.verdict in PROBLEMS or _answers(finding)]
    width = max((len(finding.rule) for finding in shown), default=0)
    for finding in shown:
        yield from _finding(finding, width, color, columns)
    counted = _counts([finding for finding in host.findings if finding not in shown])
    if counted:
        yield f"{INDENT}{counted}"
    for note in host.record.notes if host.record else ():
        yield f"{INDENT}note: {one_line(note)}"
    yield ""


def _finding(finding: Finding, width: int, color: bool, columns: int | None) -> Iterator[str]:
    """A line; where that is too long for the terminal, what was found and then, below it, what mends it."""
    said = f"{one_line(finding.subject)}: {one_line(finding.evidence)}"
    fix = f"-> {one_line(finding.fix)}" if finding.fix else ""
    start = f"{INDENT}{_mark(finding.verdict, color)}  {finding.rule:<{width}}  "
    margin = len(f"{INDENT}{_mark(finding.verdict, False)}  {' ' * width}  ")
    whole = f"{said} {fix}".rstrip()
    if columns is None or margin + len(whole) <= columns:
        yield start + whole
        return
    if columns - margin < LEAST:
        margin = len(INDENT) * 4
        yield start.rstrip()
        start = " " * margin
    for text, more in ((said, ""), (fix, "   ")):
        for line in textwrap.wrap(text, max(columns - margin, LEAST), subsequent_indent=more, break_on_hyphens=False):
            yield start + line
            start = " " * margin


def _answers(finding: Finding) -> bool:
    """What --for asked is told also when it is good: how much memory the model takes, and over how many GPUs."""
    return finding.rule == "serving.fits" and finding.verdict is Verdict.PASS


def one_line(text: str) -> str:
    """A host's words, which could not begin a line of their own here and pass for a finding."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return printable(shown).replace("\n", "\\n").replace("\t", " ")


def _mark(verdict: Verdict, color: bool) -> str:
    text = f"{WORDS[verdict]:<13}" if verdict is Verdict.NOT_SUPPORTED else f"{WORDS[verdict]:<7}"
    return click.style(text, fg=COLORS[verdict]) if color else text


def _told(host: HostAudit) -> str:
    """What the host is, in a line: GPUs and driver."""
    record = host.record
    if record is None:
        return "no answer" if host.unreachable else "could not be audited"
    driver = record.nvidia.driver_version.value if record.nvidia else None
    gpus = counted(gpu.name.value or MUTE for gpu in record.gpus)
    gpus = gpus or counted([f"NVIDIA {MUTE.removeprefix('a ')}"] * nvidia_cards(record))
    parts = [gpus, *([f"driver {driver}"] if driver else [])]
    for other in record.others:
        parts += [counted(gpu.name.value or OTHERS[other.vendor] for gpu in other.gpus.value or ())]
        parts += [f"{OTHERS[other.vendor]} driver {other.driver.value}"] if other.driver.value else []
    return ", ".join([*(filter(None, parts) if any(parts) else ["no GPU found"]), record.system.os_name])


def counted(names: Iterable[str]) -> str:
    """8 x NVIDIA H200, of eight names."""
    found = list(names)
    return ", ".join(f"{found.count(name)} x {name}" for name in dict.fromkeys(found))


def _counts(findings: list[Finding]) -> str:
    found = [finding.verdict for finding in findings]
    return ", ".join(f"{found.count(verdict)} {WORDS[verdict]}" for verdict in Verdict if verdict in found)


def summary(audit: Audit) -> str:
    """All hosts in one line."""
    everything = [finding for host in audit.hosts for finding in host.findings]
    without = sum(host.record is None for host in audit.hosts)
    hosts = f"{len(audit.hosts)} host{'' if len(audit.hosts) == 1 else 's'}"
    lost = f", {without} without an answer" if without else ""
    return f"{hosts} in {audit.seconds:.1f} s{lost}: {_counts(everything) or 'nothing was judged'}"
