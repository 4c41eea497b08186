"""What an audit finds on hosts with GPUs: every scenario of tests/gpu on a lab host, over SSH, by the real binding."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from tests.gpu.place import placed, prepare
from tests.gpu.scenario import JUDGED, Scenario
from wxops.audit.finding import Finding, Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.report import Audit
from wxops.audit.run import audit_hosts
from wxops.engine.options import RunOptions
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.playbook.inventory import Inventory

TODAY = date(2026, 11, 30)
"""Branches and releases end; a scenario is of this day."""


@pytest.fixture(scope="module")
def gpu_host(lab: Lab) -> Iterator[Host]:
    host = lab.hosts[0]
    prepare(host)
    yield host


def audited(lab: Lab, host: Host, scenario: Scenario) -> Audit:
    with placed(scenario, host):
        known = Knowledge.of(scenario.policies, today=TODAY)
        inventory = Inventory.load([str(lab.inventory)])
        return audit_hosts(inventory, [host.name], RunOptions(), lambda: known, {"deadline": 1})


@pytest.mark.parametrize("scenario", Scenario.all(), ids=lambda scenario: scenario.name)
def test_an_audit_finds_what_is_wrong_and_nothing_else(lab: Lab, gpu_host: Host, scenario: Scenario) -> None:
    (told,) = audited(lab, gpu_host, scenario).hosts
    assert told.problem == ""
    for expected in scenario.findings:
        assert any(fits(found, expected) for found in told.findings), explained(told.findings, expected["rule"])
    failed = {found.rule for found in told.findings if found.verdict is Verdict.FAIL and found.area in JUDGED}
    assert failed == {each["rule"] for each in scenario.findings if each["verdict"] == "fail" and in_area(each["rule"])}


def fits(found: Finding, expected: dict[str, str]) -> bool:
    words = {name: text for name, text in expected.items() if name in ("subject", "evidence", "fix")}
    return (found.rule, found.verdict.value) == (expected["rule"], expected["verdict"]) and all(
        text in getattr(found, name) for name, text in words.items()
    )


def in_area(rule: str) -> bool:
    return not rule.startswith("policy.")


def explained(findings: tuple[Finding, ...], rule: str) -> str:
    return "\n".join(str(found) for found in findings if found.rule == rule) or f"{rule} said nothing"
