"""`wxops audit` as an operator or a script types it: exit codes, outputs, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from tests.unit.audit_examples import RECORD, RULE, an_audit, with_silent_host
from tests.unit.image_registry import image_registry
from wxops.audit import run
from wxops.audit.finding import Finding, Verdict
from wxops.audit.rule import rules
from wxops.cli.ending import exit_code
from wxops.cli.main import cli

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Lets an audit find what a test says, without a host; asked: what it was asked with."""

    class Found:
        audit = an_audit(Verdict.PASS)
        asked: tuple[Any, ...] = ()

        def hosts(self, *asked: Any) -> Any:
            self.asked = asked
            return self.audit

    (tmp_path / "hosts.ini").write_text("gpu1\ngpu2\n")
    monkeypatch.chdir(tmp_path)
    made = Found()
    monkeypatch.setattr(run, "audit_hosts", made.hosts)
    return made


@pytest.fixture
def typed(found: Any, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`wxops audit ...`: its exit code, what it printed, and what it said on standard error."""

    def wxops(*arguments: str) -> tuple[int, str, str]:
        code = exit_code(lambda: cli.main(["audit", *arguments], standalone_mode=False))
        told = capsys.readouterr()
        return code, told.out, told.err

    return wxops


HOSTS = ("-i", "hosts.ini")


@pytest.mark.parametrize(
    ("verdicts", "flags", "code"),
    [
        ([Verdict.PASS, Verdict.WARN], [], 0),
        ([Verdict.PASS, Verdict.WARN], ["--strict"], 2),
        ([Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN], [], 2),
        ([Verdict.PASS, Verdict.UNKNOWN], [], 3),
        ([Verdict.PASS, Verdict.UNKNOWN, Verdict.WARN], ["--strict"], 2),
    ],
)
def test_a_script_acts_on_the_exit_code(
    typed: Typed, found: Any, verdicts: list[Verdict], flags: list[str], code: int
) -> None:
    found.audit = an_audit(*verdicts)
    assert typed(*HOSTS, *flags)[0] == code


def test_a_host_without_an_answer_ends_with_3_and_is_named(typed: Typed, found: Any) -> None:
    found.audit = with_silent_host(an_audit(Verdict.PASS))
    code, told, _ = typed(*HOSTS)
    assert code == 3
    assert "gpu2" in told and "no route to host" in told


def test_quiet_says_nothing_when_there_is_nothing_to_act_on(typed: Typed, found: Any) -> None:
    assert typed(*HOSTS, "-q") == (0, "", "")
    found.audit = an_audit(Verdict.WARN)
    assert "warn" in typed(*HOSTS, "-q")[1]


def test_what_is_asked_for_reaches_the_hosts_that_are_meant(typed: Typed, found: Any) -> None:
    typed(*HOSTS, "-l", "gpu2", "--deep", "--environment", "/opt/a", "--environment", "/opt/b", "--policy", "vllm-0.33")
    _, hosts, _, known, arguments, _ = found.asked
    assert hosts == ["gpu2"]
    assert arguments == {"deep": True, "environments": ["/opt/a", "/opt/b"]}
    assert [policy.name for policy in known().policies] == ["vllm-0.33"]


REFUSED = {
    "two outputs to one place": (["--json", "--junit"], "--json and --junit both go to standard output"),
    "a baseline that is not there": (["--baseline", "none.json"], "none.json cannot be read"),
    "a baseline that is none": (["--baseline", "hosts.ini"], "not a saved audit"),
    "a policy that there is not": (["--policy", "guide2"], "guide"),
    "how to serve, without what": (["--gpus", "2"], "--for"),
    "a model that there is not": (["--for", "no-such-model"], "no-such-model"),
    "a host that there is not": (["-l", "gpu9"], "gpu9"),
    "an output in no folder": (["--json=no/such/out"], "no/such/out cannot be written: No such file or directory"),
    "an output that is a folder": (["--html=/"], "/ cannot be written"),
    "an output without a name": (["--save="], "cannot be written"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_usage_is_refused_before_a_host_is_asked(typed: Typed, found: Any, what: str) -> None:
    flags, says = REFUSED[what]
    code, told, error = typed(*HOSTS, *flags)
    assert (code, told) == (1, "")
    assert says in error
    assert found.asked == ()


@pytest.mark.parametrize("flag", ["--json", "--junit", "--sarif", "--html", "--prometheus", "--save"])
def test_a_file_that_cannot_be_written_is_named(typed: Typed, flag: str) -> None:
    for place, why in (("no/such/folder/out", "No such file or directory"), ("hosts.ini/out", "Not a directory")):
        code, _, error = typed(*HOSTS, f"{flag}={place}")
        assert code == 1
        assert f"{place} cannot be written: {why}" in error


def test_a_folder_is_no_file_and_nothing_is_left_in_it(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    code, _, error = typed(*HOSTS, "--json=out")
    assert code == 1 and "out cannot be written" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts.ini", "out"]


def test_a_device_is_written_to_and_not_replaced(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/dev/null")
    assert typed(*HOSTS, "-q", "--json=out")[0] == 0
    assert (tmp_path / "out").is_char_device() and (tmp_path / "out").is_symlink()


def test_every_format_goes_to_its_file_and_the_table_to_the_terminal(typed: Typed, found: Any, tmp_path: Path) -> None:
    found.audit = an_audit(*Verdict)
    formats = ("json", "junit", "sarif", "html", "prometheus", "save")
    code, told, error = typed(*HOSTS, *(f"--{name}={name}.out" for name in formats))
    assert (code, error) == (2, "")
    assert told.startswith("gpu1")
    text = {name: (tmp_path / f"{name}.out").read_text() for name in formats}
    assert text["json"] == text["save"]
    assert ET.fromstring(text["junit"]).get("failures") == "1"
    assert json.loads(text["sarif"])["version"] == "2.1.0"
    assert text["html"].startswith("<!doctype html>")
    assert text["prometheus"].startswith("# HELP wxops_audit_findings")


def test_an_output_without_a_file_is_all_that_is_printed(typed: Typed) -> None:
    _, told, _ = typed(*HOSTS, "--json")
    assert json.loads(told)["hosts"][0]["host"] == "gpu1"


def test_strict_makes_a_warning_a_failure_in_junit(typed: Typed, found: Any) -> None:
    found.audit = an_audit(Verdict.WARN)
    assert ET.fromstring(typed(*HOSTS, "--junit")[1]).get("failures") == "0"
    assert ET.fromstring(typed(*HOSTS, "--junit", "--strict")[1]).get("failures") == "1"


def test_what_was_saved_is_the_baseline_of_the_next_audit(typed: Typed, found: Any) -> None:
    assert typed(*HOSTS, "-q", "--save", "then.json") == (0, "", "")
    assert "nothing changed since that audit" in typed(*HOSTS, "--baseline", "then.json")[1]
    changed = replace(RECORD, system=replace(RECORD.system, kernel="6.1.0-41-amd64"))
    found.audit = replace(found.audit, hosts=(replace(found.audit.hosts[0], record=changed),))
    _, told, _ = typed(*HOSTS, "--baseline", "then.json", "--save", "then.json")
    assert "Since 2026-11-30T12:00:00Z:" in told
    assert "system.kernel: 6.1.0-40-amd64 -> 6.1.0-41-amd64" in told
    assert "nothing changed since that audit" in typed(*HOSTS, "--baseline", "then.json")[1], "saved anew meanwhile"


def test_drift_is_told_beside_a_document_on_standard_output(typed: Typed, found: Any) -> None:
    typed(*HOSTS, "-q", "--save", "then.json")
    found.audit = an_audit(Verdict.FAIL)
    code, told, error = typed(*HOSTS, "--json", "--baseline", "then.json")
    assert code == 2 and json.loads(told)["counts"]["fail"] == 1
    assert "gpu1: it matters" in error


def test_a_host_that_is_gone_is_no_quiet_matter(typed: Typed, found: Any) -> None:
    found.audit = replace(
        an_audit(Verdict.PASS), hosts=(*found.audit.hosts, replace(found.audit.hosts[0], host="gpu2"))
    )
    typed(*HOSTS, "-q", "--save", "then.json")
    found.audit = an_audit(Verdict.PASS)
    assert "gpu2: gone" in typed(*HOSTS, "-q", "--baseline", "then.json")[1]


def test_hosts_that_were_not_asked_are_not_gone(typed: Typed, found: Any) -> None:
    (one,) = found.audit.hosts
    found.audit = replace(found.audit, hosts=(one, replace(one, host="gpu2")))
    typed(*HOSTS, "-q", "--save", "then.json")
    found.audit = an_audit(Verdict.PASS)
    assert typed(*HOSTS, "-q", "-l", "gpu1", "--baseline", "then.json") == (0, "", "")


def test_what_a_model_takes_is_told_also_when_it_fits(typed: Typed, found: Any) -> None:
    (one,) = found.audit.hosts
    fits = Finding("serving.fits", "serving", Verdict.PASS, "21b-a3b with vllm", "over 1 of 8")
    found.audit = replace(found.audit, hosts=(replace(one, findings=(fits, *one.findings)),))
    assert "21b-a3b with vllm: over 1 of 8" in typed(*HOSTS, "--for", "21b-a3b")[1]


def test_rules_are_listed_for_people_and_for_programs(typed: Typed) -> None:
    code, told, _ = typed("rules", "--json")
    assert code == 0
    assert {each["id"] for each in json.loads(told)} == {rule.id for rule in rules()}
    assert all(rule.id in typed("rules")[1] for rule in rules()[:3])


def test_a_rule_is_explained_with_its_source(typed: Typed) -> None:
    code, told, _ = typed("explain", RULE)
    assert code == 0
    assert told.startswith(f"{RULE}: ")
    assert "source:" in told


def test_a_rule_that_there_is_not_brings_the_nearest_one(typed: Typed) -> None:
    code, _, error = typed("explain", "driver.answer")
    assert code == 1
    assert "driver.answers" in error


def test_the_schema_that_is_printed_fits_what_is_printed(typed: Typed, found: Any) -> None:
    found.audit = with_silent_host(an_audit(*Verdict))
    schema, told = json.loads(typed("schema")[1]), json.loads(typed(*HOSTS, "--json")[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(told, schema, jsonschema.Draft202012Validator)


def test_an_image_that_is_to_be_deployed_is_asked_for_before_the_hosts(typed: Typed, found: Any) -> None:
    with image_registry() as registry:
        registry.image("team/model:1", NVIDIA_REQUIRE_CUDA="cuda>=13.2")
        name = f"{registry.address}/team/model:1"
        assert typed(*HOSTS, "--image", name, "--image", name)[0] == 0
        assert [image.name for image in found.asked[-1]] == [name]
        found.asked = ()
        code, _, told = typed(*HOSTS, "--image", f"{registry.address}/team/model:2")
    assert code == 1 and "has no team/model with 2" in told
    assert found.asked == ()


def test_what_is_no_image_s_name_is_refused_before_the_hosts_are_asked(typed: Typed, found: Any) -> None:
    code, _, told = typed(*HOSTS, "--image", "https://nvcr.io/nvidia/cuda")
    assert code == 1 and "is no image's name" in told
    assert found.asked == ()
