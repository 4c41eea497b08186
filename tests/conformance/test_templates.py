"""The cases of templates held against ansible-core itself; its lists of filters, tests, lookups and modules with ours.

ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_ansible_names import KNOWN, NAMES
from tests.unit.test_templating_cases import DATA, plain
from wxops.actions import collections
from wxops.playbook.source import load_file

ANSIBLE = os.environ.get("ANSIBLE_PYTHON", "")
SCRIPT = Path(__file__).parent / "ansible_templates.py"
FILES = sorted(DATA.glob("*.yml"))

pytestmark = pytest.mark.skipif(not ANSIBLE, reason="ANSIBLE_PYTHON names no interpreter with ansible-core")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_ansible_core_makes_the_same_of_each_case(file: Path) -> None:
    done = subprocess.run([ANSIBLE, str(SCRIPT), file.name], cwd=DATA, capture_output=True, text=True, check=True)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    cases = load_file(file)
    assert len(outcomes) == len(cases)
    differ = [f"{case.origin.line}: {case['expression']}\n  recorded {wanted(case)}\n  ansible-core {outcome}"
              for case, outcome in zip(cases, outcomes, strict=True) if not agrees(case, outcome)]  # fmt: skip
    assert differ == []


def wanted(case: Any) -> Any:
    return case.get("error") or case.get("omitted") or case.get("expected")


def agrees(case: Any, outcome: dict[str, Any]) -> bool:
    """An error is one for both; its sentence is ours."""
    if "error" in case or case.get("omitted"):
        return bool("failed" in outcome if "error" in case else outcome.get("omitted"))
    return "value" in outcome and outcome["value"] == json.loads(json.dumps(plain(case["expected"]), default=str))


@pytest.mark.parametrize("kind", NAMES)
def test_the_recorded_names_are_those_of_ansible_core(kind: str) -> None:
    command = [str(Path(ANSIBLE).parent / "ansible-doc"), "-t", kind, "-l", "-j", "ansible.builtin"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert KNOWN[kind] == sorted(name.rpartition(".")[2] for name in found)


def test_the_builtin_modules_are_those_of_ansible_core() -> None:
    command = [str(Path(ANSIBLE).parent / "ansible-doc"), "-l", "-j", "ansible.builtin"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {name.rpartition(".")[2] for name in found} == collections.BUILTIN
