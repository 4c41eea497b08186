"""Hosts that say nonsense: whatever stands in a record, every rule, plan and output takes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.audit_cases import TODAY, host
from wxops.audit.demand import Demand
from wxops.audit.knowledge import Knowledge
from wxops.audit.plan import plan
from wxops.audit.reading import Reading, unknown
from wxops.audit.record import HostRecord
from wxops.audit.report import Audit, judge
from wxops.audit.saved import to_json
from wxops.console import audit_html, audit_junit, audit_prometheus, audit_sarif, audit_table

KNOWN = Knowledge.of(("guide", "vllm-0.33", "fastdeploy-2.5"), Demand("21b-a3b", gpus=2), TODAY)
HOSTS = ("h100", "v100", "amd", "gaudi")
WORDS = ("", "main", "0", "-1", "99999999999999999999.1", "9" * 5000, "\x1b[2J\u202e<b>\n\x00", "nvidia=", "sm_", "{0}")


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """The record with each plain value in it changed."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Reading) and not value.known:
            return value
        kept = {"host", "schema", "state", "vendor", "kind", "index"}
        parts = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return dataclasses.replace(
            value, **{name: part if name in kept else changed(part, change) for name, part in parts.items()}
        )
    if isinstance(value, tuple):
        return tuple(changed(each, change) for each in value)
    return change(value)


def text(word: str) -> Callable[[Any], Any]:
    return lambda value: word if isinstance(value, str) else value


def number(found: int) -> Callable[[Any], Any]:
    return lambda value: type(value)(found) if type(value) in (int, float) else value


def unread(value: Any) -> Any:
    """The record with no reading in it known."""
    if isinstance(value, Reading):
        return unknown("it could not be read")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: unread(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return tuple(map(unread, value)) if isinstance(value, tuple) else value


def strange(record: HostRecord) -> Iterator[HostRecord]:
    for word in WORDS:
        yield changed(record, text(word))
    for found in (0, -1, 1 << 62):
        yield changed(record, number(found))
    yield unread(record)


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_that_says_nonsense_is_judged_and_shown(name: str) -> None:
    hosts = tuple(judge(record, KNOWN) for record in strange(host(name)))
    audit = Audit(hosts, ("guide",), "2026-11-30T12:00:00Z", 1.0)
    for show in (to_json, audit_html.text, audit_sarif.text, audit_prometheus.text):
        assert show(audit)
    assert audit_junit.text(audit, strict=True)
    shown = "\n".join(audit_table.lines(audit, color=False, whole=True, columns=120))
    assert "\x1b" not in shown and "\x00" not in shown and "\u202e" not in shown


@pytest.mark.parametrize("word", ["main", ""])
def test_a_plan_for_a_host_that_says_nonsense_is_made_or_refused(word: str) -> None:
    record = changed(host("l4"), text(word))
    assert plan(record, KNOWN, {"torch": "2.13"}).host == "l4"
    assert plan(record, KNOWN, {"driver": "580", "cuda": "13.0"}).host == "l4"
