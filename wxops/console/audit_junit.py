"""An audit as JUnit's XML, which CI servers read: a test suite a host, a test case a finding."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from wxops.audit.finding import Finding, Verdict
from wxops.audit.report import Audit, HostAudit
from wxops.console.audit_table import PROBLEMS
from wxops.console.results import printable

TAGS = {Verdict.FAIL: "failure", Verdict.UNKNOWN: "error", Verdict.SKIPPED: "skipped", Verdict.NOT_SUPPORTED: "skipped"}


def text(audit: Audit, strict: bool) -> str:
    """fail is a failure, unknown an error, what was skipped or is not supported is skipped; strict: warn fails."""
    root = ET.Element("testsuites", name="wxops audit", time=f"{audit.seconds:.3f}")
    for host in audit.hosts:
        root.append(_suite(host, strict, audit.started))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(host: HostAudit, strict: bool, started: str) -> ET.Element:
    cases = [_case(printable(host.host), finding, strict) for finding in host.findings]
    if host.record is None:
        case = ET.Element("testcase", classname=printable(host.host), name="audit")
        ET.SubElement(case, "error", message=printable(host.problem), type="unknown")
        cases.append(case)
    counts = {name: sum(case.find(tag) is not None for case in cases)
              for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))}  # fmt: skip
    suite = ET.Element("testsuite", name=printable(host.host), timestamp=started, tests=str(len(cases)))
    for name, count in counts.items():
        suite.set(name, str(count))
    suite.extend(cases)
    return suite


def _case(host: str, finding: Finding, strict: bool) -> ET.Element:
    name = f"{finding.rule}: {printable(finding.subject)}"
    case = ET.Element("testcase", classname=f"{host}.{finding.area}", name=name)
    tag = "failure" if strict and finding.verdict is Verdict.WARN else TAGS.get(finding.verdict)
    said = printable(finding.evidence)
    if tag:
        element = ET.SubElement(case, tag, message=said)
        if tag != "skipped":
            element.set("type", finding.verdict.value)
            element.text = printable(finding.fix)
    elif finding.verdict in PROBLEMS:
        ET.SubElement(case, "system-out").text = f"warning: {said} -> {printable(finding.fix)}"
    return case
