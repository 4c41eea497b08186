"""Policies: those that wxops brings can be read, a user's file is, and a wrong one is refused with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from wxops.audit.demand import Demand
from wxops.audit.knowledge import Knowledge
from wxops.audit.policy import Policy, names
from wxops.audit.versions import Version
from wxops.errors import InputError


@pytest.mark.parametrize("name", names())
def test_a_policy_that_wxops_brings_is_named_as_its_file_and_says_its_source(name: str) -> None:
    policy = Policy.load(name)
    assert policy.name == name
    assert policy.source


def test_the_guides_floor_is_what_the_guide_says() -> None:
    floor = {each.component: str(each) for each in Policy.load("guide").requires}
    assert floor == {"cuda": "11.8 or later", "cudnn": "8.6 or later", "torch": "2.0 or later"}


def test_a_users_file_is_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        'name: team\nrequires:\n  torch: {at_least: "2.10", below: "2.14", needed: true}\n', encoding="utf-8"
    )
    asked = Policy.load(str(file)).of("torch")
    assert asked is not None
    assert asked.needed
    assert asked.met_by(Version("2.13.0+cu130"))
    assert not asked.met_by(Version("2.9.1"))
    assert not asked.met_by(Version("2.14.0"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nrequire: {}\n", r":2:1: a policy has no 'require'\n  did you mean 'requires'"),
        ("name: x\n", r":1:1: a policy needs 'requires'"),
        ("- 1\n", r"a policy must be a mapping"),
        (
            'name: x\nrequires:\n  pytorch: {at_least: "2"}\n',
            r":3:3: 'requires' has no 'pytorch'\n  did you mean 'torch'",
        ),
        (
            "name: x\nrequires:\n  torch: {at_least: 2.10}\n",
            r":3:11: 'at_least' is a version in quotes, not the number 2.1",
        ),
        (
            'name: x\nrequires:\n  torch: {atleast: "2"}\n',
            r":3:11: 'torch' has no 'atleast'\n  did you mean 'at_least'",
        ),
        ('name: x\nrequires:\n  torch: {at_least: "new"}\n', r":3:11: 'new' is no version"),
        ("name: x\nrequires:\n  torch: {why: so}\n", r":3:3: 'torch' asks for nothing"),
        ("name: x\nrequires:\n  torch: 2.0\n", r":3:3: 'torch' must be a mapping"),
        ("name: x\nrequires:\n  features: {has: [fp9]}\n", r":3:14: there is no feature 'fp9'"),
        ("name: x\nrequires:\n  torch: {has: [bf16]}\n", r":3:11: 'torch' cannot have 'has'"),
        ("name: x\nrequires:\n  torch: {one_of: []}\n", r":3:11: 'one_of' is a list"),
        ('name: x\nrequires:\n  torch: {at_least: "2", needed: "yes"}\n', r"'needed' is true or false"),
        ('name: x\nrequires:\n  torch: {at_least: "2", status: sure}\n', r"'sure' is no status"),
        ("name: [x]\nrequires: {}\n", r":1:1: 'name' is text"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        Policy.load(str(file))


def test_a_policy_or_model_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"there is no policy 'guides'.*\n.*'guide'"):
        Knowledge.of(("guides",))
    with pytest.raises(InputError, match=r"there is no model 'ernie-4.5-0.4b'.*\n.*'ernie-4.5-0.3b'"):
        Knowledge.of(demand=Demand("ernie-4.5-0.4b"))


def test_today_is_today_unless_it_is_said() -> None:
    assert Knowledge.of().today == date.today()
    assert Knowledge.of(today=date(2030, 1, 1)).today == date(2030, 1, 1)
