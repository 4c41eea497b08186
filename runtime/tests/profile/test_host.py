"""A host's facts are read from what wxops writes; what is none is refused with what to name instead."""

from __future__ import annotations

import json

import pytest
from profile_case import facts

from wxruntime.profile.host import HostError, from_facts, this_machine


def test_an_audit_a_record_and_a_fact_say_the_same() -> None:
    audit = facts({"gpus": ["H100", "H100"], "driver": "580.95.05", "memory_gib": 3})
    record = json.loads(audit)["hosts"][0]["record"]
    told = [
        from_facts(json.dumps(each), "facts") for each in (record, {"ansible_facts": {"gpu": record}}, {"gpu": record})
    ]
    assert {from_facts(audit, "facts"), *told} == {told[0]}
    assert (told[0].name, told[0].driver, told[0].memory) == ("gpu1", "580.95.05", 3 * 2**30)
    assert [(gpu.name, gpu.memory, gpu.cc) for gpu in told[0].gpus] == [("H100", 80 * 2**30, "9.0")] * 2


def test_of_several_hosts_one_is_named() -> None:
    hosts = json.loads(facts({}))["hosts"]
    two = json.dumps({"hosts": [hosts[0], {"host": "gpu2", "record": {**hosts[0]["record"], "host": "gpu2"}}]})
    assert from_facts(two, "audit.json", "gpu2").name == "gpu2"
    with pytest.raises(HostError, match=r"say which with --host-name \(gpu1, gpu2\)"):
        from_facts(two, "audit.json")
    with pytest.raises(HostError, match="no record of gpu3"):
        from_facts(two, "audit.json", "gpu3")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"hosts": []}', '{"hosts": [{"host": "a", "record": null}]}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(HostError, match=r"facts\.json"):
        from_facts(text, "facts.json")


def test_a_gpu_that_the_driver_has_lost_does_not_count() -> None:
    raw = json.loads(facts({"gpus": ["H100", "H100"]}))
    raw["hosts"][0]["record"]["nvidia"]["gpus"]["value"][1] = {"index": 1, "lost": True}
    assert len(from_facts(json.dumps(raw), "facts").gpus) == 1


def test_this_machine_tells_its_memory() -> None:
    assert this_machine().memory > 0
