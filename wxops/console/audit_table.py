"""An audit as a table for people: hosts with the worst first, and beside each finding the change that mends it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from wxops.audit.finding import Finding, Verdict
from wxops.audit.report import Audit, HostAudit
from wxops.console.results import printable

COLORS = {
    Verdict.FAIL: "red", Verdict.UNKNOWN: "magenta", Verdict.WARN: "yellow",
    Verdict.PASS: "green", Verdict.SKIPPED: "cyan", Verdict.NOT_SUPPORTED: "cyan",
}  # fmt: skip
WORDS = {verdict: verdict.value.replace("_", " ") for verdict in Verdict}
PROBLEMS = frozenset({Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN})
INDENT = "  "


def lines(audit: Audit, color: bool, whole: bool) -> Iterator[str]:
    """A paragraph a host. whole: what passed, was skipped or is not supported has lines, too."""
    for host in sorted(audit.hosts, key=lambda host: host.verdict.rank):
        yield from _host(host, color, whole)
    yield summary(audit)


def _host(host: HostAudit, color: bool, whole: bool) -> Iterator[str]:
    name = printable(host.host)
    yield f"{click.style(name, bold=True) if color else name}: {printable(_told(host))}"
    if host.problem:
        yield f"{INDENT}{_mark(Verdict.UNKNOWN, color)}  {printable(host.problem)}"
    shown = [finding for finding in host.findings if whole or finding.verdict in PROBLEMS]
    width = max((len(finding.rule) for finding in shown), default=0)
    for finding in shown:
        yield _finding(finding, width, color)
    rest = _counts([finding for finding in host.findings if finding not in shown])
    if rest:
        yield f"{INDENT}{rest}"
    yield ""


def _finding(finding: Finding, width: int, color: bool) -> str:
    said = f"{printable(finding.subject)}: {printable(finding.evidence)}"
    fix = f" -> {printable(finding.fix)}" if finding.fix else ""
    return f"{INDENT}{_mark(finding.verdict, color)}  {finding.rule:<{width}}  {said}{fix}"


def _mark(verdict: Verdict, color: bool) -> str:
    text = f"{WORDS[verdict]:<13}" if verdict is Verdict.NOT_SUPPORTED else f"{WORDS[verdict]:<7}"
    return click.style(text, fg=COLORS[verdict]) if color else text


def _told(host: HostAudit) -> str:
    """What the host is, in a line: GPUs and driver."""
    record = host.record
    if record is None:
        return "no answer" if host.unreachable else "could not be audited"
    names = [gpu.name.value or "a GPU that does not answer" for gpu in record.gpus]
    gpus = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    driver = record.nvidia.driver_version.value if record.nvidia else None
    others = [f"{len(other.gpus.value or ())} x {other.vendor}" for other in record.others]
    parts = [gpus, *others] if gpus or others else ["no GPU found"]
    return ", ".join([*filter(None, parts), *([f"driver {driver}"] if driver else []), record.system.os_name])


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
