"""An audit in Prometheus' text format, for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wxops.audit.finding import Verdict
from wxops.audit.report import Audit


def text(audit: Audit) -> str:
    """Findings that did not pass each have a series; what passed is only counted."""
    return "\n".join(_lines(audit)) + "\n"


def _lines(audit: Audit) -> Iterator[str]:
    yield "# HELP wxops_audit_findings Findings of the last audit, by host and verdict."
    yield "# TYPE wxops_audit_findings gauge"
    for host in audit.hosts:
        if host.record is None:
            continue  # zeros would say that there is nothing wrong with it
        found = [finding.verdict for finding in host.findings]
        for verdict in Verdict:
            yield _series("wxops_audit_findings", found.count(verdict), host=host.host, verdict=verdict.value)
    yield "# HELP wxops_audit_finding A finding that is to be acted on."
    yield "# TYPE wxops_audit_finding gauge"
    named = {(host.host, f.rule, f.subject, f.verdict.value): None for host in audit.hosts for f in host.findings
             if f.verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)}  # fmt: skip
    for host_name, rule, subject, verdict_name in named:
        yield _series("wxops_audit_finding", 1, host=host_name, rule=rule, subject=subject, verdict=verdict_name)
    yield "# HELP wxops_audit_answered Whether the host answered the last audit."
    yield "# TYPE wxops_audit_answered gauge"
    for host in audit.hosts:
        yield _series("wxops_audit_answered", int(host.record is not None), host=host.host)
    yield "# HELP wxops_audit_timestamp_seconds When the last audit began."
    yield "# TYPE wxops_audit_timestamp_seconds gauge"
    yield f"wxops_audit_timestamp_seconds {datetime.fromisoformat(audit.started).timestamp():.0f}"


def _series(name: str, value: int, **labels: str) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
