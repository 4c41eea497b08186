"""A switch of precision is planned so that the load is borne at every moment, within the memory that is there."""

from __future__ import annotations

import pytest
from profile_case import facts

from wxruntime.profile.adaptive import wanted
from wxruntime.profile.checkpoints import look
from wxruntime.profile.command import Choice
from wxruntime.profile.host import from_facts
from wxruntime.profile.model import Load, Precision, Profile
from wxruntime.profile.switch import Replica, Start, Step, Stop, SwitchRefused, switch

GIB = 2**30
OLD = [Replica("a", "bf16", 40 * GIB, 16), Replica("b", "bf16", 40 * GIB, 16)]
NEW = Replica("ernie", "fp8", 20 * GIB, 32)


def told(steps: list[Step]) -> list[str]:
    return [f"{type(step).__name__.lower()} {step.replica.name}" for step in steps]


def test_with_room_a_new_replica_serves_before_an_old_one_goes() -> None:
    assert told(switch(OLD, NEW, free=25 * GIB, load=32)) == [
        "start ernie-1", "admit ernie-1", "drain a", "stop a", "start ernie-2", "admit ernie-2", "drain b", "stop b",
    ]  # fmt: skip


def test_without_room_an_old_one_goes_first_if_the_others_bear_the_load() -> None:
    steps = told(switch(OLD, NEW, free=0, load=16))
    assert steps[:4] == ["drain a", "stop a", "start ernie-1", "admit ernie-1"]
    assert steps[4:] == ["start ernie-2", "admit ernie-2", "drain b", "stop b"], (
        "the first one left room for the second"
    )


def test_replicas_that_are_as_wanted_stay() -> None:
    assert told(switch([OLD[0], Replica("c", "fp8", 20 * GIB, 32)], NEW, free=40 * GIB, load=0)) == [
        "start ernie-1", "admit ernie-1", "drain a", "stop a",
    ]  # fmt: skip


@pytest.mark.parametrize("free", [0, 10, 25, 100])
@pytest.mark.parametrize("to", [NEW, Replica("ernie", "fp32", 60 * GIB, 8)])
def test_at_every_step_memory_is_kept(free: int, to: Replica) -> None:
    try:
        steps = switch(OLD, to, free=free * GIB, load=0)
    except SwitchRefused:
        return
    taken, most = sum(each.memory for each in OLD), sum(each.memory for each in OLD) + free * GIB
    for step in steps:
        taken += step.replica.memory * (isinstance(step, Start) - isinstance(step, Stop))
        assert taken <= most


@pytest.mark.parametrize(
    ("running", "to", "free", "load", "says"),
    [
        (OLD, NEW, 0, 17, "17 sequences run and wait, and on the way only b would be there, for 16"),
        (OLD[:1], NEW, 10, 0, "a is the only replica, and there is no room for another beside it"),
        (
            OLD,
            Replica("ernie", "fp32", 60 * GIB, 8),
            10,
            0,
            "more than the 10.0 GiB that are free and the 40.0 GiB of a",
        ),
        (OLD, Replica("ernie", "fp32", 60 * GIB, 8), 70, 32, "for 24: wait until it is quieter"),
    ],
)
def test_what_would_lose_requests_is_refused(
    running: list[Replica], to: Replica, free: int, load: int, says: str
) -> None:
    with pytest.raises(SwitchRefused, match=says):
        switch(running, to, free=free * GIB, load=load)


@pytest.mark.parametrize(
    ("current", "sequences", "precision"),
    [
        ("bf16", 20, "bf16"),
        ("bf16", 70, "fp8"),
        ("fp8", 70, "fp8"),
        ("fp8", 55, "fp8"),  # bf16 would hold it, but not half as much again
        ("fp8", 20, "bf16"),
        ("bf16", 160, "int4"),
        ("bf16", 9999, "int4"),
    ],
)
def test_the_precision_follows_the_load(current: Precision, sequences: int, precision: Precision) -> None:
    order: list[Precision] = ["bf16", "fp8", "int4"]
    profile = Profile(engine="vllm", precision=order, max_model_len=8192, served_names=["ernie"])
    shape = look("ernie-4.5-21b-a3b").shape
    host = from_facts(facts({"gpus": ["H100"]}), "facts")
    shapes, choices = dict.fromkeys(order, shape), {each: Choice(each) for each in order}
    load = Load(sequences=sequences, tokens=8192)
    assert wanted(profile, shapes, choices, host, current, load) == precision
