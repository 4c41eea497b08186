"""An audit: what was found on each host, and the exit code that a script may act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wxops.audit.finding import Finding, Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import AREAS, rules

EXIT_FINE, EXIT_FAILED, EXIT_UNKNOWN = 0, 2, 3


@dataclass(frozen=True)
class HostAudit:
    """One host. problem: why there is no record of it (it could not be reached, its agent failed)."""

    host: str
    record: HostRecord | None = None
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    unreachable: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings; unknown without a record."""
        if self.record is None:
            return Verdict.UNKNOWN
        return min((finding.verdict for finding in self.findings), key=lambda v: v.rank, default=Verdict.PASS)

    @property
    def gravity(self) -> tuple[int, int, int]:
        """By which hosts stand, the worst first: the verdict, the area it is of, and how many findings share it."""
        verdict = self.verdict
        worst = [AREAS.index(finding.area) for finding in self.findings if finding.verdict is verdict]
        return verdict.rank, min(worst, default=0), -len(worst)


@dataclass(frozen=True)
class Audit:
    """All hosts, in the inventory's order. policies: the names of those that held; started: UTC, seconds: how long."""

    hosts: tuple[HostAudit, ...]
    policies: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0

    def exit_code(self, strict: bool = False) -> int:
        """2 when something failed (strict: or is to be looked at), 3 when something could not be determined, else 0."""
        found = {host.verdict for host in self.hosts}
        found |= {finding.verdict for host in self.hosts for finding in host.findings}
        if Verdict.FAIL in found or (strict and Verdict.WARN in found):
            return EXIT_FAILED
        return EXIT_UNKNOWN if Verdict.UNKNOWN in found else EXIT_FINE


def judge(record: HostRecord, known: Knowledge) -> HostAudit:
    """The host by all rules, worst first; among equals by area, and in an area in the order of the rules."""
    found: Sequence[Finding] = [finding for rule in rules() for finding in rule.findings(record, known)]
    return HostAudit(record.host, record, tuple(sorted(found, key=_weight)))


def _weight(finding: Finding) -> tuple[int, int]:
    return finding.verdict.rank, AREAS.index(finding.area)
