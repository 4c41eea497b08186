"""What an agent imports before its first task: each host takes that time for itself, and most tasks need none of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wxops

LATER = ("hashlib", "shutil", "socket", "tempfile", "traceback")
ROOT = str(Path(wxops.__file__).parent.parent)
STARTED = f"import sys; sys.path.insert(0, {ROOT!r}); import {{}}; print(*sys.modules)"


@pytest.mark.parametrize("module", ["wxops.agent.main", "wxops.agent.modules.gpu_facts, wxops.agent.gpu.gathering"])
def test_what_few_tasks_need_is_imported_by_those(module: str) -> None:
    argv = [sys.executable, "-IS", "-c", STARTED.format(module)]
    loaded = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    assert "wxops.agent" in loaded
    assert not set(LATER) & set(loaded)
