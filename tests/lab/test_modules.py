"""Every module keeps its promises on a real host. A case is data: add one to cases/MODULE.yml, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.module_case import ManagedHost, keep_promises

FILES = sorted((Path(__file__).parent / "cases").glob("*.yml"))
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}") for file in FILES for case in yaml.safe_load(file.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_a_module_keeps_its_promises(case: dict[str, Any], managed: ManagedHost) -> None:
    keep_promises(managed, case)
