"""The house stands: each floor imports only from floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wxops

ROOT = Path(wxops.__file__).parent
FLOORS = [
    "agent",
    "playbook",
    "transport",
    "docker",
    "actions",
    "engine",
    "audit",
    "lab",
    "console",
    "cli",
]  # lowest first
ANYWHERE = {"errors", "crash", "digests", "scaffold"}  # what stands on nothing; the files of a new project


def imports(path: Path) -> set[str]:
    """The parts of wxops that a file imports, also inside functions and for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("wxops.")}
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_from_below(floor: str) -> None:
    allowed = {*FLOORS[: FLOORS.index(floor) + 1], *ANYWHERE}
    wrong = {f"{path.relative_to(ROOT)} imports {name}" for path in (ROOT / floor).rglob("*.py")
             for name in imports(path) - allowed}  # fmt: skip
    assert wrong == set()


def test_the_agent_imports_nothing_outside_itself() -> None:
    assert {name for path in (ROOT / "agent").rglob("*.py") for name in imports(path)} <= {"agent"}
