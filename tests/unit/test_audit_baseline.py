"""What changed since a saved audit, and whether it matters: a rule judges otherwise, or a host came or went."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.audit_examples import GPU, RECORD, RULE, SYSTEM
from wxops.audit.baseline import Change, HostChanges, VerdictChange, compare
from wxops.audit.finding import Finding, Verdict
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord, NvidiaDriver, Xid
from wxops.audit.report import Audit, HostAudit
from wxops.audit.saved import SavedAudit, saved
from wxops.console import audit_changes

SECOND = replace(GPU, index=1, uuid=Reading("GPU-2"), vbios=Reading("96.00.61.00.02"))


def an_audit(*hosts: HostAudit) -> SavedAudit:
    return saved(Audit(hosts, ("guide",), "2026-11-30T12:00:00Z", 1.0))


def a_host(record: HostRecord = RECORD, verdict: Verdict = Verdict.PASS, evidence: str = "it answers") -> HostAudit:
    found = Finding(RULE, "driver", verdict, "driver", evidence, "install another" if verdict is Verdict.FAIL else "")
    return HostAudit("gpu1", record, (found,))


def with_driver(**other: Any) -> HostRecord:
    assert RECORD.nvidia is not None
    return replace(RECORD, nvidia=replace(RECORD.nvidia, **other))


def with_gpus(*gpus: Any) -> HostRecord:
    return with_driver(gpus=Reading(gpus))


def only(before: HostAudit, after: HostAudit) -> HostChanges:
    (found,) = compare(an_audit(before), an_audit(after))
    return found


NEWER = with_driver(driver_version=Reading("590.10"))
DRIVER = Change("nvidia.driver_version", "580.159.04", "590.10")


def test_another_driver_that_no_rule_minds_is_told_and_does_not_matter() -> None:
    found = only(a_host(), a_host(NEWER, evidence="another text for the same verdict"))
    assert found == HostChanges("gpu1", changes=(DRIVER,))
    assert not found.matters and not found.worse


def test_another_driver_that_a_rule_minds_matters_and_tells_the_fix() -> None:
    found = only(a_host(), a_host(NEWER, Verdict.FAIL, "it does not answer"))
    assert found.changes == (DRIVER,)
    assert found.verdicts == (
        VerdictChange(RULE, "driver", Verdict.PASS, Verdict.FAIL, "it does not answer", "install another"),
    )
    assert found.matters and found.worse


@pytest.mark.parametrize(
    ("before", "after", "matters", "worse"),
    [
        (Verdict.FAIL, Verdict.PASS, True, False),
        (Verdict.FAIL, Verdict.WARN, True, False),
        (Verdict.PASS, Verdict.WARN, True, True),
        (Verdict.WARN, Verdict.UNKNOWN, True, True),
        (Verdict.PASS, Verdict.SKIPPED, False, False),
        (Verdict.NOT_SUPPORTED, Verdict.PASS, False, False),
    ],
)
def test_a_verdict_matters_by_what_there_is_to_do(before: Verdict, after: Verdict, matters: bool, worse: bool) -> None:
    changed = replace(RECORD, system=replace(SYSTEM, kernel="6.1.0-41-amd64"))  # so that there is something to tell
    found = only(a_host(verdict=before), a_host(changed, after))
    assert (found.matters, found.worse) == (matters, worse)


def test_a_gpu_is_known_by_its_uuid_when_the_order_changes() -> None:
    swapped = with_gpus(replace(SECOND, index=0), replace(GPU, index=1))
    found = only(a_host(with_gpus(GPU, SECOND)), a_host(swapped))
    assert {change.what for change in found.changes} == {"nvidia.gpus[GPU-1].index", "nvidia.gpus[GPU-2].index"}


def test_a_gpu_that_was_swapped_for_another_is_one_gone_and_one_come() -> None:
    found = only(a_host(with_gpus(GPU)), a_host(with_gpus(replace(GPU, uuid=Reading("GPU-9")))))
    named = {change.what: (change.before, change.after) for change in found.changes}
    assert named["nvidia.gpus[GPU-1].name"] == ("NVIDIA H100 80GB HBM3", "")
    assert named["nvidia.gpus[GPU-9].name"] == ("", "NVIDIA H100 80GB HBM3")


def test_a_value_that_can_no_longer_be_read_is_a_change() -> None:
    unread = replace(GPU, vbios=Reading(None, "unknown", "no permission"))
    found = only(a_host(with_gpus(GPU)), a_host(with_gpus(unread)))
    assert found.changes == (Change("nvidia.gpus[GPU-1].vbios", "96.00.61.00.01", "unknown"),)


SILENT = HostAudit("gpu1", problem="no route to host", unreachable=True)


@pytest.mark.parametrize(
    ("before", "after", "presence", "worse"),
    [
        ([], [a_host()], "new", False),
        ([a_host()], [], "gone", True),
        ([a_host()], [SILENT], "does not answer any more", True),
        ([SILENT], [a_host()], "answers again", False),
    ],
)
def test_a_host_that_comes_or_goes_matters(
    before: list[HostAudit], after: list[HostAudit], presence: str, worse: bool
) -> None:
    (found,) = compare(an_audit(*before), an_audit(*after))
    assert found == HostChanges("gpu1", presence)
    assert found.matters and found.worse is worse


def test_a_host_that_is_still_silent_is_no_change() -> None:
    assert compare(an_audit(SILENT), an_audit(replace(SILENT, problem="connection refused"))) == ()


def xid(count: int, last: str) -> Reading[tuple[Xid, ...]]:
    return Reading((Xid(79, "0000:17:00.0", count, last, "GPU has fallen off the bus."),))


MOVED: dict[str, tuple[HostRecord, HostRecord]] = {
    "the time of reading": (replace(RECORD, collected="a", seconds=0.1), replace(RECORD, collected="b", seconds=0.2)),
    "uptime, a reboot and free memory": (
        replace(RECORD, system=replace(SYSTEM, uptime_s=10.0, boot_id="a", memory_available=1)),
        replace(RECORD, system=replace(SYSTEM, uptime_s=5.0, boot_id="b", memory_available=2)),
    ),
    "a GPU's temperature": (with_gpus(GPU), with_gpus(replace(GPU, temperature=Reading(71)))),
    "how often an error came": (replace(RECORD, xids=xid(1, "12:00")), replace(RECORD, xids=xid(4, "12:09"))),
    "a note": (RECORD, replace(RECORD, notes=("docker: it does not answer",))),
}


@pytest.mark.parametrize("what", MOVED)
def test_what_moves_on_a_healthy_host_is_no_change(what: str) -> None:
    before, after = MOVED[what]
    assert before != after
    assert compare(an_audit(a_host(before)), an_audit(a_host(after))) == ()


def test_a_driver_that_came_is_told_from_nothing() -> None:
    bare = replace(RECORD, nvidia=None)
    found = only(a_host(bare), a_host(replace(bare, nvidia=NvidiaDriver("/usr/lib/libnvidia-ml.so.1", "580.1", ""))))
    assert Change("nvidia.library_version", "", "580.1") in found.changes


def test_people_read_what_matters_first_and_one_line_when_nothing_changed() -> None:
    assert list(audit_changes.lines((), color=False)) == ["nothing changed since that audit"]
    found = only(a_host(), a_host(NEWER, Verdict.FAIL, "it does not answer"))
    assert list(audit_changes.lines([found], color=False)) == [
        "gpu1: it matters",
        f"  pass -> fail  {RULE}  driver: it does not answer -> install another",
        "  nvidia.driver_version: 580.159.04 -> 590.10",
        "",
    ]
