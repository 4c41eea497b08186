"""All filters, tests and lookups of ansible-core are here, and a case shows each of them at work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from wxops.playbook.jinja.environment import shared
from wxops.playbook.jinja.lookups import LOOKUPS

DATA = Path(__file__).parent / "data"
KNOWN: dict[str, list[str]] = json.loads((DATA / "ansible_names.json").read_text())
NAMES = {"filter": shared().filters, "test": shared().tests, "lookup": LOOKUPS}
CASES = "".join(path.read_text() for path in sorted((DATA / "templating").glob("*.yml")))


@pytest.mark.parametrize("kind", NAMES)
def test_none_of_ansible_core_is_missing(kind: str) -> None:
    assert [name for name in KNOWN[kind] if name not in NAMES[kind]] == []


@pytest.mark.parametrize("kind", NAMES)
def test_a_case_shows_each_at_work(kind: str) -> None:
    used = {"filter": r"\|\s*(?:ansible\.builtin\.)?{}\b", "test": r"(?:is (?:not )?|')(?:ansible\.builtin\.)?{}\b",
            "lookup": r"(?:lookup|query|q)\('(?:ansible\.builtin\.)?{}'"}[kind]  # fmt: skip
    assert [name for name in KNOWN[kind] if not re.search(used.format(re.escape(name)), CASES)] == []
