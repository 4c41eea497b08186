"""Plans of upgrades: the smallest set after which every rule holds, in order, and what no upgrade mends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.audit_cases import TODAY, host, knowledge
from wxops.audit.plan import plan, targets
from wxops.errors import InputError

CASES = yaml.safe_load((Path(__file__).parent / "data" / "audit" / "plans.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_plan_is_the_smallest_that_mends(case: dict[str, Any]) -> None:
    record = host(case.get("host", "h100"), case.get("set"))
    found = plan(
        record,
        knowledge(tuple(case.get("policies", ["guide"])), None, TODAY),
        case.get("to", {}),
        case.get("strict", False),
    )
    assert found.problem == ""
    if "steps" in case:
        assert [[step.component, step.after] for step in found.steps] == case["steps"]
    assert found.reboots == case.get("reboots", 0)
    assert {finding.rule for finding in found.mended} >= set(case.get("mends", ()))
    assert {finding.rule for finding in found.remaining} == set(case.get("remains", ()))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("troch=2.13", "did you mean 'torch'"),
        ("torch", "write --to torch=VERSION"),
        ("torch=9.9", "known: 2.15, 2.14"),
        ("driver=600", "known: 615, 610"),
        ("cuda=14.1", "known: 13.4, 13.3"),
        ("torch=newest", "does not start with a number"),
    ],
)
def test_a_target_that_is_none_is_refused(told: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        targets([told])
    assert says in str(error.value)
