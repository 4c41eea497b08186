"""A host whose engine has nothing yet, and a registry with small images."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.docker.engine import clean, make_images
from tests.lab.module_case import ManagedHost
from wxops.lab import Lab
from wxops.lab.host import Host


@pytest.fixture(scope="session")
def registry(lab: Lab, shared_host: Host) -> str:
    """The lab's registry, with web:1, web:2 and web:moving in it."""
    make_images(shared_host, lab.registry.address)
    return lab.registry.address


@pytest.fixture
def docker(registry: str, managed: ManagedHost) -> Iterator[ManagedHost]:
    """A host whose engine has nothing yet."""
    clean(managed.host)
    yield managed
    clean(managed.host)
