"""An audit as SARIF 2.1.0, which code scanning dashboards read. https://docs.oasis-open.org/sarif/sarif/v2.1.0/"""

from __future__ import annotations

import json
from typing import Any

from wxops import __version__
from wxops.audit.finding import Finding, Verdict
from wxops.audit.report import Audit, HostAudit
from wxops.audit.rule import rules

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
KINDS: dict[Verdict, tuple[str, str]] = {
    Verdict.FAIL: ("fail", "error"),
    Verdict.WARN: ("fail", "warning"),
    Verdict.UNKNOWN: ("open", "none"),
    Verdict.PASS: ("pass", "none"),
    Verdict.SKIPPED: ("notApplicable", "none"),
    Verdict.NOT_SUPPORTED: ("notApplicable", "none"),
}
"""A verdict as SARIF's kind and level, by its section 3.27.9 and 3.27.10."""


def text(audit: Audit) -> str:
    driver = {"name": "wxops audit", "version": __version__, "rules": [_rule(each) for each in rules()]}
    silent = [{"level": "error", "message": {"text": f"{host.host}: {host.problem}"}}
              for host in audit.hosts if host.record is None]  # fmt: skip
    invocation = {"executionSuccessful": not silent, "startTimeUtc": audit.started,
                  "toolExecutionNotifications": silent}  # fmt: skip
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "results": [_result(host, finding) for host in audit.hosts for finding in host.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Any) -> dict[str, Any]:
    level = "error" if rule.severity == "fail" else "warning"
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"Source: {rule.source}"},
        "defaultConfiguration": {"level": level},
        "properties": {"area": rule.area},
    }


def _result(host: HostAudit, finding: Finding) -> dict[str, Any]:
    kind, level = KINDS[finding.verdict]
    fix = f" Fix: {finding.fix}" if finding.fix else ""
    where = {"name": host.host, "fullyQualifiedName": f"{host.host}/{finding.subject}", "kind": "resource"}
    return {
        "ruleId": finding.rule,
        "kind": kind,
        "level": level,
        "message": {"text": f"{host.host}, {finding.subject}: {finding.evidence}.{fix}"},
        "locations": [{"logicalLocations": [where]}],
        "partialFingerprints": {"hostRuleSubject/v1": f"{host.host}/{finding.rule}/{finding.subject}"},
    }
