"""`wxops audit` over SSH as an operator runs it: a process, two hosts of different kinds, and one that is cut off."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.place import placed, prepare
from tests.gpu.scenario import Scenario
from wxops.lab import Lab

WXOPS = Path(sys.executable).with_name("wxops")
HEALTHY, BROKEN = "four H100 SXM", "the library is newer than the loaded module"


def audit(lab: Lab, *flags: str) -> tuple[int, str, str]:
    done = subprocess.run([WXOPS, "audit", "-i", lab.inventory, *flags], capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Iterator[Lab]:
    """The first host is healthy, the second has a driver that was upgraded without a reboot."""
    scenarios = {scenario.name: scenario for scenario in Scenario.all()}
    with contextlib.ExitStack() as placements:
        for host, name in zip(lab.hosts, (HEALTHY, BROKEN), strict=True):
            prepare(pristine := lab.reset(host.name))
            placements.enter_context(placed(scenarios[name], pristine))
        yield lab


@pytest.fixture
def cut_off(fleet: Lab) -> Iterator[Lab]:
    """The second host's cable is out."""
    name = fleet.hosts[1].name
    fleet.link(name, up=False)
    try:
        yield fleet
    finally:
        fleet.link(name, up=True)


def findings(host: dict[str, Any], area: str, verdict: str) -> set[str]:
    return {each["rule"] for each in host["findings"] if (each["area"], each["verdict"]) == (area, verdict)}


def test_each_host_is_judged_by_what_it_has(fleet: Lab) -> None:
    code, told, error = audit(fleet, "--json")
    assert (code, error) == (2, "")
    healthy, broken = json.loads(told)["hosts"]
    assert [healthy["host"], broken["host"]] == [host.name for host in fleet.hosts]
    assert len(healthy["record"]["nvidia"]["gpus"]["value"]) == 4
    assert findings(healthy, "driver", "fail") == set()
    assert "driver.library-matches-module" in findings(broken, "driver", "fail")


def test_people_read_the_fix_beside_what_failed(fleet: Lab) -> None:
    code, told, _ = audit(fleet, "-l", fleet.hosts[1].name)
    assert code == 2
    (line,) = (line for line in told.splitlines() if "driver.library-matches-module" in line)
    assert line.split()[0] == "fail" and " -> " in line


def test_a_host_that_is_cut_off_is_told_and_the_other_judged_as_ever(cut_off: Lab, tmp_path: Path) -> None:
    code, told, _ = audit(cut_off, "-T", "3", f"--json={tmp_path / 'audit.json'}")
    assert code in (2, 3)
    assert "1 without an answer" in told.splitlines()[-1]
    answered, silent = json.loads((tmp_path / "audit.json").read_text())["hosts"]
    assert answered["problem"] == "" and len(answered["record"]["nvidia"]["gpus"]["value"]) == 4
    assert silent["unreachable"] and silent["record"] is None and silent["problem"]


def test_where_only_the_cut_off_host_is_asked_the_exit_code_is_3(cut_off: Lab) -> None:
    code, told, _ = audit(cut_off, "-T", "3", "-l", cut_off.hosts[1].name)
    assert code == 3
    assert cut_off.hosts[1].name in told


def test_a_cut_is_a_change_since_the_last_audit_and_nothing_else_is(fleet: Lab, tmp_path: Path) -> None:
    kept = f"{tmp_path / 'audit.json'}"
    audit(fleet, "--save", kept)
    assert audit(fleet, "--baseline", kept)[1].endswith("nothing changed since that audit\n")
    name = fleet.hosts[1].name
    fleet.link(name, up=False)
    try:
        told = audit(fleet, "-T", "3", "--baseline", kept)[1]
    finally:
        fleet.link(name, up=True)
    assert told.partition("Since ")[2].splitlines()[1:2] == [f"{name}: does not answer any more"]
