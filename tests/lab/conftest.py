"""Every test in this folder needs real hosts, and is marked so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.module_case import ManagedHost
from wxops.lab import Lab
from wxops.lab.host import Host


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture
def managed(lab: Lab, shared_host: Host, tmp_path: Path) -> ManagedHost:
    """A host to run tasks on; a test leaves it as it found it, or asks for the fixture `host` as well."""
    for folder in ("templates", "files"):
        (tmp_path / folder).mkdir()
    return ManagedHost(shared_host, str(lab.inventory), tmp_path)
