"""A profile is refused with everything that is wrong with it, at its line, or it is run as it says, to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from profile_case import cases, planned


def named(name: str) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases(name)])


def line_of(file: Path, key: str) -> int:
    """Where a key stands; the top, where the file does not have it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((number for number, text in enumerate(lines, 1) if text.startswith(f"{key}:")), 1)


@named("refusals")
def test_what_is_wrong_is_said_where_it_stands(case: dict[str, Any], tmp_path: Path) -> None:
    found = planned(case, tmp_path)
    said = "\n".join(map(str, found.mistakes))
    for words in case.get("says", []):
        assert words in said
    if "says" in case:
        (mistake, *_) = [each for each in found.mistakes if case["says"][0] in each.message]
        assert mistake.line >= line_of(found.file, case["at"]), said
        assert not found.commands, "what is refused must not be run"
    else:
        assert said == ""
    for words in case.get("warns", []):
        assert words in "\n".join(map(str, found.warnings))
    if "starts" in case:
        assert found.choice and found.choice.precision == case["starts"]


@named("commands")
def test_a_profile_is_run_to_the_letter(case: dict[str, Any], tmp_path: Path) -> None:
    found = planned(case, tmp_path)
    assert [str(each) for each in found.mistakes] == []
    assert [command.line for command in found.commands] == case["lines"]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"tensor_parallel": 3, "version": "0.28.0", "queue": {"requests": 1}, "max_model_len": 999_999}
    case = {"set": wrong, "model": "ernie-4.5-21b-a3b", "host": {"gpus": ["H100"]}}
    said = [each.message for each in planned(case, tmp_path).mistakes]
    assert len(said) == 4, said
