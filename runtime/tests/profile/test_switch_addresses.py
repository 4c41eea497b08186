"""An engine that a gateway does not know by its address is neither stopped nor given a second one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from profile_case import facts, write_model, write_profile

from wxruntime.profile.checkpoints import look
from wxruntime.profile.host import from_facts
from wxruntime.profile.live import Found, NotPossible, Traffic, prepare
from wxruntime.profile.model import Precision
from wxruntime.profile.rolling import told

OLD = Found("ernie-fp32-1", "fp32", None, True, True, url="http://gpu1:8000")


def steps(folder: Path, to: Precision, found: list[Found], **urls: set[str]) -> list[str]:
    """What is planned. urls: those that each gateway has."""
    changes = {"engine": "transformers", "version": None, "image": None, "precision": ["fp32", "bf16"]}
    file = write_profile(folder, changes | {"max_model_len": 256})
    models = {None: look(str(write_model(folder, {}, ["model.norm.weight"])))}
    traffic = Traffic(0, 0, {name: frozenset(each) for name, each in urls.items()})
    planned = prepare(file, models, from_facts(facts({}), "facts"), found, traffic, to=to)  # type: ignore[arg-type]
    return [" ".join(told(step).split()[:2]).rstrip(":") for step in planned.steps]


def test_each_gateway_has_to_know_an_engine_that_is_stopped_and_the_one_that_does_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match=r"the gateway at two has no such replica.*: it has http://10.0.0.1:8000\."):
        steps(tmp_path, "bf16", [OLD], one={OLD.url}, two={"http://10.0.0.1:8000"})


def test_an_engine_in_service_that_a_gateway_does_not_know_gets_no_second_address(tmp_path: Path) -> None:
    old = replace(OLD, serving=False)
    with pytest.raises(NotPossible, match="asked at http://gpu1:8000, and the gateway at one has no such replica"):
        steps(tmp_path, "fp32", [old], one={"http://10.0.0.1:8000"})


def test_one_that_was_started_by_a_switch_that_was_killed_is_admitted_or_stopped_unknown(tmp_path: Path) -> None:
    new = replace(OLD, serving=False, new=True)
    assert steps(tmp_path, "fp32", [new], one=set()) == ["admit ernie-fp32-1"]
    (tmp_path / "again").mkdir()
    assert "stop ernie-fp32-1" in steps(tmp_path / "again", "bf16", [new], one=set())


def test_one_that_was_to_take_the_place_of_another_that_is_stopped_already_is_admitted(tmp_path: Path) -> None:
    old = replace(OLD, running=False, serving=False)
    new = Found("ernie-bf16-1", "bf16", OLD.name, True, False, url="http://gpu1:8001", new=True)
    assert steps(tmp_path, "bf16", [old, new], one=set()) == ["admit ernie-bf16-1", "remove ernie-fp32-1"]


def test_a_gateway_that_knows_who_takes_its_place_may_have_forgotten_the_old_one(tmp_path: Path) -> None:
    new = Found("ernie-bf16-1", "bf16", OLD.name, True, True, url="http://gpu1:8001")
    assert steps(tmp_path, "bf16", [OLD, new], one={OLD.url, new.url}, two={new.url}) == [
        "drain ernie-fp32-1", "stop ernie-fp32-1", "remove ernie-fp32-1",
    ]  # fmt: skip
