"""What profiles render for engines of others are flags that these have, by the recorded lists of flags.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from profile_case import cases, planned

from wxruntime.profile.engines import engine, flags
from wxruntime.profile.model import EngineName

SERVERS = ("serve", "fastdeploy.entrypoints.openai.api_server")  # what stands before an engine's own flags


def rendered(case: dict[str, Any], folder: Path) -> set[str]:
    """The names of all flags of the engine, over all hosts."""
    found = set()
    for command in planned(case, folder).commands:
        words = [*command.entrypoint, *command.arguments]
        own = [index for index, word in enumerate(words) if word in SERVERS]
        found |= {word[2:] for word in words[own[0] if own else len(words) :] if re.match("--[a-z]", word)}
    return found


@pytest.mark.parametrize("name", ["vllm", "fastdeploy"])
def test_every_flag_that_is_rendered_is_one_of_the_engine(name: EngineName, tmp_path: Path) -> None:
    theirs = [case for case in cases("commands") if case["set"].get("engine", "vllm") == name]
    asked = set().union(*(rendered(case, tmp_path) for case in theirs))
    known = flags(name)
    assert known and len(asked) > 10
    assert asked - known.names == set()


@pytest.mark.parametrize("name", ["vllm", "fastdeploy"])
def test_what_the_profile_sets_itself_are_flags_of_the_engine_too(name: EngineName) -> None:
    known = flags(name)
    assert known and set(engine(name).own_flags) - known.names - {"model"} == set()
