"""A mixture of experts with random weights, once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxruntime.tiny import Recipe, make_checkpoint


@pytest.fixture(scope="session")
def moe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "moe"
    make_checkpoint(directory, Recipe(moe=True, taught=False))
    return directory
