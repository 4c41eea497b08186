"""The rules of an audit: each has cases in which it finds a fault and cases in which it finds none; the hosts that are
well have nothing said against them."""

from __future__ import annotations

import pytest

from tests.unit.audit_cases import TODAY, Case, cases, host, hosts
from wxops.audit.finding import Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord, System
from wxops.audit.report import judge
from wxops.audit.rule import rule_named, rules

BAD = {"fail", "warn"}


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.rule}: {case.name}")
def test_a_rule_says_what_its_case_expects(case: Case) -> None:
    found = [each for each in case.findings(rule_named(case.rule)) if case.subject in each.subject]
    assert found, "it said nothing of that subject"
    worst = found[0]
    assert worst.verdict == case.verdict, worst
    assert case.evidence in worst.evidence
    assert case.fix in worst.fix
    assert bool(worst.fix) == (case.verdict in BAD) or case.verdict == "unknown", worst


@pytest.mark.parametrize("name", list(hosts()["hosts"]))
def test_a_host_that_is_well_has_nothing_said_against_it(name: str) -> None:
    found = judge(host(name), Knowledge.of(today=TODAY)).findings
    assert [each for each in found if each.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN)] == []


def test_among_equals_the_hardware_comes_before_the_software_on_it() -> None:
    broken = {"runtime.toolkit": "1.17.4", "nvidia.gpus.2.lost": True}
    found = [each for each in judge(host("h100", broken), Knowledge.of(today=TODAY)).findings if each.verdict == "fail"]
    assert [each.rule for each in found] == ["health.gpu-lost", "container.toolkit-safe"]


def test_every_rule_has_a_case_that_finds_a_fault_and_one_that_finds_none() -> None:
    bad = {case.rule for case in cases() if case.verdict in BAD}
    good = {case.rule for case in cases() if case.verdict == "pass"}
    assert {rule.id for rule in rules()} - (bad & good) == set()


def test_a_rule_of_which_nothing_is_known_never_passes_a_host() -> None:
    nothing = HostRecord("bare", System("bare", "debian", "12", "Debian 12", "6.1.0", "x86_64"))
    found = judge(nothing, Knowledge.of(today=TODAY)).findings
    passed = {each.rule for each in found if each.verdict is Verdict.PASS}
    assert passed <= {"host.os-alive"}


def test_what_a_rule_says_names_its_source() -> None:
    assert [rule.id for rule in rules() if not (rule.source and rule.why and rule.title)] == []
    assert len({rule.id for rule in rules()}) == len(rules())
