"""A switch of precision is planned so that the load is borne at every moment, within the memory that is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from profile_case import facts

from wxruntime.profile.adaptive import wanted
from wxruntime.profile.advice import Advice, advise
from wxruntime.profile.checkpoints import look
from wxruntime.profile.command import Choice
from wxruntime.profile.host import from_facts
from wxruntime.profile.model import Load, Precision, Profile
from wxruntime.profile.seen import Seen
from wxruntime.profile.switch import MEMORY, Replica, Start, Step, Stop, SwitchRefused, switch

GIB = 2**30
OLD = [Replica("a", "bf16", 40 * GIB, 16), Replica("b", "bf16", 40 * GIB, 16)]
NEW = Replica("ernie", "fp8", 20 * GIB, 32)


def free(gib: float) -> dict[str, float]:
    return {MEMORY: gib * GIB}


def told(steps: list[Step]) -> list[str]:
    return [f"{type(step).__name__.lower()} {step.replica.name}" for step in steps]


def test_with_room_a_new_replica_serves_before_an_old_one_goes() -> None:
    assert told(switch(OLD, NEW, free=free(25), load=32)) == [
        "start ernie-1", "admit ernie-1", "drain a", "stop a", "remove a",
        "start ernie-2", "admit ernie-2", "drain b", "stop b", "remove b",
    ]  # fmt: skip


def test_without_room_an_old_one_goes_first_if_the_others_bear_the_load() -> None:
    steps = told(switch(OLD, NEW, free=free(0), load=16))
    assert steps[:5] == ["drain a", "stop a", "start ernie-1", "admit ernie-1", "remove a"]
    assert steps[5:] == ["start ernie-2", "admit ernie-2", "drain b", "stop b", "remove b"], (
        "the first one left room for the second"
    )


def test_replicas_on_other_hosts_bear_the_load_too() -> None:
    assert told(switch(OLD[:1], NEW, free=free(0), load=16, elsewhere=16))[0] == "drain a"


def test_a_new_replica_takes_the_gpus_of_the_one_that_it_replaces_and_room_is_counted_there() -> None:
    first, second = (replace(OLD[at], devices=(f"GPU {at}",)) for at in (0, 1))
    steps = switch([first, second], NEW, free={"GPU 0": 0.0, "GPU 1": 25.0 * GIB}, load=16)
    assert told(steps)[:2] == ["drain a", "stop a"] and told(steps)[5:7] == ["start ernie-2", "admit ernie-2"]
    assert [step.replica.devices for step in steps if isinstance(step, Start)] == [("GPU 0",), ("GPU 1",)]


OLD_A, NEW_A = OLD[0], replace(NEW, name="ernie-1", replaces="a", running=False, serving=False)


@pytest.mark.parametrize(
    ("found", "to", "left"),
    [
        ([OLD_A, NEW_A], NEW, "start ernie-1 admit ernie-1 drain a stop a remove a"),
        ([OLD_A, replace(NEW_A, running=True)], NEW, "admit ernie-1 drain a stop a remove a"),
        ([OLD_A, replace(NEW_A, running=True, serving=True)], NEW, "drain a stop a remove a"),
        ([replace(OLD_A, serving=False), replace(NEW_A, running=True, serving=True)], NEW, "drain a stop a remove a"),
        ([replace(OLD_A, running=False, serving=False)], NEW, "start ernie-1 admit ernie-1 remove a"),
        ([replace(OLD_A, running=False), replace(NEW_A, running=True, serving=True)], NEW, "remove a"),
        ([replace(NEW_A, running=True, serving=True)], NEW, ""),
        ([replace(NEW_A, running=True)], NEW, "admit ernie-1"),
        # and back again, to what it was before
        ([replace(OLD_A, serving=False), replace(NEW_A, running=True, serving=True)], replace(OLD_A, name="back"),
         "admit a drain ernie-1 stop ernie-1 remove ernie-1"),
    ],
)  # fmt: skip
def test_a_switch_that_was_killed_goes_on_from_what_is_found(found: list[Replica], to: Replica, left: str) -> None:
    assert " ".join(told(switch(found, to, free=free(60), load=0))) == left


def test_replicas_that_are_as_wanted_stay() -> None:
    assert told(switch([OLD[0], Replica("c", "fp8", 20 * GIB, 32)], NEW, free=free(40), load=0)) == [
        "start ernie-1", "admit ernie-1", "drain a", "stop a", "remove a",
    ]  # fmt: skip


@pytest.mark.parametrize("gib", [0, 10, 25, 100])
@pytest.mark.parametrize("to", [NEW, Replica("ernie", "fp32", 60 * GIB, 8)])
def test_at_every_step_memory_is_kept(gib: int, to: Replica) -> None:
    try:
        steps = switch(OLD, to, free=free(gib), load=0)
    except SwitchRefused:
        return
    taken, most = sum(each.memory for each in OLD), sum(each.memory for each in OLD) + gib * GIB
    for step in steps:
        taken += step.replica.memory * (isinstance(step, Start) - isinstance(step, Stop))
        assert taken <= most


@pytest.mark.parametrize(
    ("running", "to", "gib", "load", "says"),
    [
        (OLD, NEW, 0, 17, "17 sequences run and wait, and on the way only b would be there, for 16"),
        (OLD[:1], NEW, 10, 0, "a is the only replica, and there is no room for another beside it"),
        (
            OLD,
            Replica("ernie", "fp32", 60 * GIB, 8),
            10,
            0,
            "more than the 10.0 GiB that are free on memory and the 40.0 GiB of a",
        ),
        (OLD, Replica("ernie", "fp32", 60 * GIB, 8), 70, 32, "for 24: wait until it is quieter"),
    ],
)
def test_what_would_lose_requests_is_refused(
    running: list[Replica], to: Replica, gib: int, load: int, says: str
) -> None:
    with pytest.raises(SwitchRefused, match=says):
        switch(running, to, free=free(gib), load=load)


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


def test_advice_goes_by_what_runs_and_waits_and_by_what_the_caches_hold() -> None:
    order: list[Precision] = ["bf16", "fp8", "int4"]
    profile = Profile(engine="vllm", precision=order, max_model_len=8192, served_names=["ernie"])
    shape = look("ernie-4.5-21b-a3b").shape
    host = from_facts(facts({"gpus": ["H100"]}), "facts")

    def advice(now: Precision, *seen: Seen) -> Advice:
        return advise(profile, dict.fromkeys(order, shape), {each: Choice(each) for each in order}, host, now, seen)

    busy = advice("bf16", Seen(60, 10, 60 * 8192.0), Seen(60, 10, 60 * 8192.0))
    assert (busy.load.sequences, busy.load.tokens, busy.precision) == (70, 8192, "fp8")
    assert busy.holds["bf16"] < 70 <= busy.holds["fp8"] and busy.why == "bf16 does not hold the load"
    short = advice("bf16", Seen(60, 10, 60 * 1024.0))
    assert (short.load.tokens, short.precision, short.why) == (1024, "bf16", "bf16 is right")
    quiet = advice("fp8", Seen(1, 0))
    assert (quiet.load.tokens, quiet.precision, quiet.why) == (8192, "bf16", "bf16 holds 1.5 times the load")
    assert advice("bf16", Seen(900, 99)).why == "none holds the load, int4 most of it"
