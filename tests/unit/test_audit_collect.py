"""Reading hosts for an audit: what comes back is a typed record or a problem of that host, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wxops.audit.collect import Problem, collect, record_of
from wxops.audit.record import SCHEMA, HostRecord
from wxops.engine.options import RunOptions
from wxops.playbook.inventory import Inventory
from wxops.playbook.source import Origin, SourceStr

SYSTEM = dict.fromkeys(("os_id", "os_version", "os_name", "kernel", "architecture"), "") | {"hostname": "gpu1"}


def answer(**record: Any) -> dict[str, Any]:
    return {"changed": False, "ansible_facts": {"gpu": {"system": SYSTEM, **record}}}


GARBAGE: dict[str, tuple[Any, str]] = {
    "a result that is none": (["fine"], "gpu_facts gave no result"),
    "a module that failed": ({"failed": True, "msg": "no such module"}, "gpu_facts failed: no such module"),
    "a module that failed without a word": ({"failed": True}, "gpu_facts failed: it does not say why"),
    "no facts": ({}, "gpu_facts gave no record"),
    "facts that are none": ({"ansible_facts": "none"}, "gpu_facts gave no record"),
    "a record that is none": ({"ansible_facts": {"gpu": []}}, "gpu_facts gave no record"),
    "a record of another time": (answer(schema=SCHEMA + 1), f"its record has schema {SCHEMA + 1}"),
    "a number that is none": (answer(disks=[{"mount": "/", "total": "much", "free": 0}]), r"\$\.disks\[0\]\.total"),
    "more than a host has to tell": (answer(notes=["A" * (9 << 20)]), "its record has 9 MiB"),
    "a state that there is not": (answer(xids={"state": "fine"}), r"\$\.xids\.state"),
    "a GPU without its index": (
        answer(nvidia={"library": "", "gpus": {"value": [{"lost": True}]}}), r"\$\.nvidia\.gpus\.value\[0\]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_what_a_host_makes_up_is_a_problem_of_that_host(name: str) -> None:
    result, told = GARBAGE[name]
    found = record_of("gpu1", result)
    assert isinstance(found, Problem) and not found.unreachable
    assert re.search(told, found.what), found.what


def test_a_record_bears_the_inventory_s_name_of_its_host() -> None:
    found = record_of("gpu1.example.org", answer(host="another"))
    assert isinstance(found, HostRecord)
    assert (found.host, found.system.hostname) == ("gpu1.example.org", "gpu1")


def test_a_value_that_is_not_there_is_not_taken_for_one_that_is() -> None:
    found = record_of("gpu1", answer(xids={"state": "unknown", "detail": "no permission"}, packages={"value": []}))
    assert isinstance(found, HostRecord)
    assert (found.xids.known, found.xids.value, found.xids.detail) == (False, None, "no permission")
    assert (found.packages.known, found.packages.value) == (True, ())


def test_hosts_are_read_at_once_and_come_in_order(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        "here ansible_connection=local\n"
        "gone ansible_host=127.0.0.1 ansible_port=1\n"
        "there ansible_connection=local ansible_python_interpreter=/usr/bin/no-such-python\n"
    )
    loaded, hosts = Inventory.load([str(inventory)]), ["there", "here", "gone"]
    named = [SourceStr(name, Origin("hosts.yml", 1)) for name in hosts]  # as those of an inventory in YAML
    found = dict(collect(loaded, named, RunOptions(timeout=5)))
    assert list(found) == hosts
    assert {type(name) for name in found} == {str}, "an inventory's own texts cannot be written as JSON"
    here, gone, there = found["here"], found["gone"], found["there"]
    assert isinstance(here, HostRecord) and here.system.kernel and here.collected
    assert isinstance(gone, Problem) and gone.unreachable
    assert isinstance(there, Problem) and there.unreachable and "no-such-python" in there.what


@pytest.mark.parametrize("line", ["", "gone ansible_host=127.0.0.1 ansible_port=1", "odd ansible_connection=pigeon"])
def test_what_is_to_be_done_meanwhile_is_done_when_no_host_can_be_reached(tmp_path: Path, line: str) -> None:
    (tmp_path / "hosts.ini").write_text(line + "\n")
    done: list[bool] = []
    found = collect(
        Inventory.load([str(tmp_path / "hosts.ini")]), line.split()[:1], RunOptions(timeout=5),
        meanwhile=lambda: done.append(True),
    )  # fmt: skip
    assert all(isinstance(answer, Problem) for _, answer in found)
    assert done == [True]


def test_what_is_to_be_deployed_is_not_for_a_host_to_say() -> None:
    wanted = {"name": "theirs", "platform": "linux/amd64", "platforms": ["linux/amd64"]}
    found = record_of("gpu1", answer(to_deploy=[wanted]))
    assert isinstance(found, HostRecord)
    assert found.to_deploy == ()
