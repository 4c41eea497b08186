"""An audit as JSON: what --json prints, what --save keeps and --baseline reads, and its schema.

Fields are only ever added to a version of the schema; a reader passes over those that it does not know.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wxops.audit.finding import Finding, Verdict
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, HostAudit
from wxops.audit.rule import Rule, rules
from wxops.errors import InputError

SCHEMA = 1


@dataclass(frozen=True)
class SavedFinding:
    """A finding with what its rule says: everything that is needed to act on it without wxops at hand."""

    rule: str
    area: str
    verdict: Verdict
    subject: str
    evidence: str
    fix: str = ""
    title: str = ""
    why: str = ""
    source: str = ""


@dataclass(frozen=True)
class SavedHost:
    """One host: its verdict is the worst of its findings; problem: why there is no record of it."""

    host: str
    verdict: Verdict
    findings: tuple[SavedFinding, ...] = ()
    record: HostRecord | None = None
    problem: str = ""
    unreachable: bool = False


@dataclass(frozen=True)
class SavedAudit:
    """A whole audit. started: UTC; seconds: how long it took; counts: findings by verdict over all hosts."""

    schema: int
    started: str
    seconds: float
    policies: tuple[str, ...]
    counts: dict[str, int]
    hosts: tuple[SavedHost, ...]


def saved(audit: Audit) -> SavedAudit:
    """The audit in the shape in which it is kept."""
    by_id = {rule.id: rule for rule in rules()}
    hosts = tuple(_host(host, by_id) for host in audit.hosts)
    counts = {verdict.value: 0 for verdict in Verdict}
    for host in hosts:
        for finding in host.findings:
            counts[finding.verdict.value] += 1
    return SavedAudit(SCHEMA, audit.started, audit.seconds, audit.policies, counts, hosts)


def _host(host: HostAudit, by_id: Mapping[str, Rule]) -> SavedHost:
    findings = tuple(_finding(finding, by_id[finding.rule]) for finding in host.findings)
    return SavedHost(host.host, host.verdict, findings, host.record, host.problem, host.unreachable)


def _finding(finding: Finding, rule: Rule) -> SavedFinding:
    return SavedFinding(finding.rule, finding.area, finding.verdict, finding.subject, finding.evidence, finding.fix,
                        rule.title, rule.why, rule.source)  # fmt: skip


def to_json(audit: Audit) -> str:
    """Indented, in a fixed order, so that two of them can be compared as text.

    Every field is there: msgspec would leave out those for which a host's own record fell back to the default.
    """
    return json.dumps(dataclasses.asdict(saved(audit)), indent=2, ensure_ascii=False)


def load(path: Path) -> SavedAudit:
    """An audit that was saved. Raises InputError with the place in the file that cannot be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SavedAudit)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", fix="name a file that --save wrote") from None
    except msgspec.DecodeError as error:
        raise InputError(f"it is not a saved audit: {error}", where=str(path),
                         fix="name a file that `wxops audit --save FILE` wrote") from None  # fmt: skip
    if found.schema > SCHEMA:
        raise InputError(f"it has schema {found.schema}; this wxops reads up to {SCHEMA}", where=str(path),
                         fix="use the wxops that wrote it, or a newer one")  # fmt: skip
    return found


def schema() -> dict[str, Any]:
    """The JSON Schema of what `to_json` writes."""
    return msgspec.json.schema(SavedAudit)
