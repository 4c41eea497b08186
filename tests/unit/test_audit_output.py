"""An audit as a table, JSON, JUnit, SARIF and for Prometheus: each says the same, and no text of a host's is markup."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.audit_cases import host
from tests.unit.audit_examples import HOSTILE, RECORD, RULE, a_hostile_audit, an_audit, finding, with_silent_host
from wxops.audit import saved
from wxops.audit.collect import record_of
from wxops.audit.finding import Finding, Verdict
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, HostAudit
from wxops.console import audit_html, audit_junit, audit_prometheus, audit_sarif, audit_table
from wxops.errors import InputError

SENT_SYSTEM = dict.fromkeys(("hostname", "os_id", "os_version", "os_name", "kernel", "architecture"), "")
EVERY = with_silent_host(an_audit(*Verdict))


@pytest.mark.parametrize(
    ("verdicts", "strict", "code"),
    [
        ([Verdict.PASS, Verdict.SKIPPED, Verdict.NOT_SUPPORTED], False, 0),
        ([Verdict.PASS, Verdict.WARN], False, 0),
        ([Verdict.PASS, Verdict.WARN], True, 2),
        ([Verdict.UNKNOWN, Verdict.PASS], False, 3),
        ([Verdict.UNKNOWN, Verdict.WARN], True, 2),
        ([Verdict.UNKNOWN, Verdict.FAIL], False, 2),
    ],
)
def test_the_exit_code_says_the_worst(verdicts: list[Verdict], strict: bool, code: int) -> None:
    assert an_audit(*verdicts).exit_code(strict) == code


def test_a_host_that_did_not_answer_is_not_fine() -> None:
    assert with_silent_host(an_audit(Verdict.PASS)).exit_code() == 3


def test_the_table_has_the_worst_first_and_the_fix_on_its_line() -> None:
    lines = list(audit_table.lines(EVERY, color=False, whole=False))
    failed = next(line for line in lines if "fail" in line.split())
    assert failed.endswith("-> mend it")
    marks = [line.split()[0] for line in lines if line.startswith("  ") and RULE in line]
    assert marks == ["fail", "unknown", "warn"]
    assert "1 pass, 1 skipped, 1 not supported" in "\n".join(lines)
    assert (
        lines[-1]
        == "2 hosts in 1.2 s, 1 without an answer: 1 fail, 1 unknown, 1 warn, 1 pass, 1 skipped, 1 not supported"
    )


def test_a_lost_gpu_stands_before_an_old_package_and_its_host_before_the_others() -> None:
    old = Finding("openssl.updated", "host", Verdict.FAIL, "openssl", "an update waits", "install it")
    lost = Finding("health.gpu-lost", "hardware", Verdict.FAIL, "GPU 1", "it has fallen off the bus", "reboot")
    audit = Audit((HostAudit("gpu1", RECORD, (old, old)), HostAudit("gpu2", RECORD, (lost,))))
    lines = list(audit_table.lines(audit, color=False, whole=False))
    assert [line.split(":")[0] for line in lines if line.startswith("gpu")] == ["gpu2", "gpu1"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("amd", "1 x AMD Instinct MI300X, AMD driver 6.12.12"), ("gaudi", "1 x HL-225, Gaudi driver 1.23.0-a1b2c3d")],
)
def test_accelerators_of_other_makers_are_named_as_nvidias_are(name: str, told: str) -> None:
    audit = Audit((HostAudit(name, host(name)),), started="2026-11-30T12:00:00Z")
    assert told in next(audit_table.lines(audit, color=False, whole=False))
    assert told.split(", ")[0].removeprefix("1 x ") in audit_html.text(audit)


def test_gpus_behind_a_driver_that_does_not_answer_are_there_all_the_same() -> None:
    mute = host("h100", {"nvidia": {"library": "", "error": "NVML_ERROR_DRIVER_NOT_LOADED"}})
    told = next(audit_table.lines(Audit((HostAudit("h100", mute),)), color=False, whole=False))
    assert told.startswith("h100: 8 x NVIDIA GPU that does not answer, ")


def test_on_a_terminal_a_long_finding_is_broken_and_its_fix_begins_a_line() -> None:
    found = finding(Verdict.FAIL, evidence="one thing after the other " * 6, fix="upgrade the driver, then reboot")
    audit = Audit((HostAudit("gpu1", RECORD, (found,)),))
    for columns in (60, 120):
        lines = list(audit_table.lines(audit, color=False, whole=False, columns=columns))
        assert max(map(len, lines[1:-1])) <= columns
        assert any(line.strip() == "-> upgrade the driver, then reboot" for line in lines)
    assert sum(RULE in line for line in audit_table.lines(audit, color=False, whole=False)) == 1


def test_the_table_tells_what_could_not_be_looked_at() -> None:
    record = replace(RECORD, notes=("2 processes may not be looked into",))
    lines = list(audit_table.lines(Audit((HostAudit("gpu1", record),)), color=False, whole=False))
    assert "  note: 2 processes may not be looked into" in lines


def test_a_hosts_text_begins_no_line_of_the_table() -> None:
    audit = Audit((HostAudit("gpu1", RECORD, (finding(Verdict.FAIL, evidence="bad\n  pass     fine"),)),))
    assert not any(line.startswith("  pass") for line in audit_table.lines(audit, color=False, whole=False))


def test_the_whole_table_names_what_passed_too() -> None:
    words = [line.strip().split("  ")[0] for line in audit_table.lines(EVERY, color=False, whole=True)]
    assert {"pass", "skipped", "not supported"} <= set(words)


def test_json_is_read_back_as_it_was_and_holds_to_its_schema(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text(saved.to_json(EVERY))
    assert saved.load(tmp_path / "audit.json") == saved.saved(EVERY)
    assert set(json.loads(saved.to_json(EVERY))) == set(saved.schema()["$defs"]["SavedAudit"]["properties"])


def test_json_counts_findings_by_verdict_and_keeps_the_record() -> None:
    told = json.loads(saved.to_json(EVERY))
    assert told["counts"] == {verdict.value: 1 for verdict in Verdict}
    assert told["hosts"][0]["record"]["nvidia"]["driver_version"]["value"] == "580.159.04"
    assert told["hosts"][1] == {"host": "gpu2", "verdict": "unknown", "findings": [], "record": None,
                                "problem": "no route to host", "unreachable": True}  # fmt: skip


def test_json_has_every_field_also_of_what_a_host_did_not_send() -> None:
    record = record_of("gpu1", {"ansible_facts": {"gpu": {"system": SENT_SYSTEM, "toolkits": {"value": []}}}})
    assert isinstance(record, HostRecord)
    told = json.loads(saved.to_json(Audit((HostAudit("gpu1", record),))))["hosts"][0]["record"]
    assert set(told) == {field.name for field in dataclasses.fields(HostRecord)}
    assert told["nvidia"] is None
    assert set(told["toolkits"]) == set(told["libraries"]) == {field.name for field in dataclasses.fields(Reading)}


def test_json_holds_to_the_schema_that_is_printed() -> None:
    schema = saved.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(saved.to_json(EVERY)), schema, jsonschema.Draft202012Validator)


def test_the_schema_refuses_what_is_no_audit() -> None:
    told = json.loads(saved.to_json(EVERY))
    told["hosts"][0]["verdict"] = "fine"
    with pytest.raises(jsonschema.ValidationError, match="'fine' is not one of"):
        jsonschema.validate(told, saved.schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not a saved audit"), ('{"schema": 1}', "missing required field"), ("[]", "Expected `object`")],
)
def test_a_file_that_is_no_audit_is_refused_with_its_name(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(InputError, match=says) as error:
        saved.load(tmp_path / "wrong.json")
    assert "wrong.json" in str(error.value)


def test_an_audit_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    told = json.loads(saved.to_json(EVERY))
    (tmp_path / "later.json").write_text(json.dumps({**told, "schema": saved.SCHEMA + 1}))
    with pytest.raises(InputError, match="has schema 2"):
        saved.load(tmp_path / "later.json")


def test_an_audit_with_fields_of_a_newer_wxops_is_read(tmp_path: Path) -> None:
    told = json.loads(saved.to_json(EVERY))
    told["hosts"][0]["record"]["system"]["invented_later"] = 1
    (tmp_path / "newer.json").write_text(json.dumps(told))
    assert saved.load(tmp_path / "newer.json") == saved.saved(EVERY)


def test_junit_counts_what_a_ci_server_shows() -> None:
    root = ET.fromstring(audit_junit.text(EVERY, strict=False))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "1", "2")
    assert len(root.findall(".//skipped")) == 2
    assert ET.fromstring(audit_junit.text(EVERY, strict=True)).get("failures") == "2"


def test_sarif_has_a_rule_for_each_result_and_what_passed_is_no_alert() -> None:
    run = json.loads(audit_sarif.text(EVERY))["runs"][0]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= known
    levels = {(result["kind"], result["level"]) for result in run["results"]}
    assert levels == {
        ("fail", "error"),
        ("fail", "warning"),
        ("open", "none"),
        ("pass", "none"),
        ("notApplicable", "none"),
    }
    assert run["invocations"][0]["executionSuccessful"] is False


def test_prometheus_gets_a_series_for_what_is_to_be_acted_on() -> None:
    lines = audit_prometheus.text(EVERY).splitlines()
    assert 'wxops_audit_findings{host="gpu1",verdict="pass"} 1' in lines
    assert 'wxops_audit_answered{host="gpu2"} 0' in lines
    assert not any('findings{host="gpu2"' in line for line in lines)  # zeros would say that it is fine
    assert sum(line.startswith("wxops_audit_finding{") for line in lines) == 3
    assert "wxops_audit_timestamp_seconds 1796040000" in lines


def test_prometheus_own_parser_reads_it() -> None:
    for audit in (EVERY, a_hostile_audit()):
        families = {family.name: family for family in text_string_to_metric_families(audit_prometheus.text(audit))}
        assert all(family.type == "gauge" and family.documentation for family in families.values())
        told = {(s.labels["host"], s.labels["rule"], s.labels["subject"], s.labels["verdict"]): s.value
                for s in families["wxops_audit_finding"].samples}  # fmt: skip
        bad = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)
        assert told == {(host.host, each.rule, each.subject, each.verdict.value): 1
                        for host in audit.hosts for each in host.findings if each.verdict in bad}  # fmt: skip


def test_a_hosts_text_is_text_in_every_format() -> None:
    hostile = a_hostile_audit()
    page = audit_html.text(hostile)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\x1b" not in page + "".join(audit_table.lines(hostile, color=False, whole=True))
    suite = ET.fromstring(audit_junit.text(hostile, strict=False)).find(".//failure")
    assert suite is not None
    assert "<script>" in str(suite.get("message"))
    assert json.loads(audit_sarif.text(hostile))["runs"][0]["results"]
    assert '\\"quotes\\"' in audit_prometheus.text(hostile)
    assert json.loads(saved.to_json(hostile))["hosts"][0]["host"] == HOSTILE


def test_an_audit_without_findings_is_told() -> None:
    audit = Audit((HostAudit("gpu1", RECORD),), ("guide",), "2026-11-30T12:00:00Z", 0.5)
    assert list(audit_table.lines(audit, color=False, whole=False))[-1] == "1 host in 0.5 s: nothing was judged"
