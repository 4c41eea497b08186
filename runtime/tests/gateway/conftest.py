"""Engines and gateways that end with the test, or with its module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from processes import Engine, Gateway


def _factory(kind: Any, started: list[Any]) -> Callable[..., Any]:
    def start(*arguments: Any, **options: Any) -> Any:
        made = kind(*arguments, **options)
        started.append(made)
        return made

    return start


def _stop(started: list[Any]) -> None:
    for each in started:
        each.stop()


@pytest.fixture
def engine() -> Iterator[Callable[..., Engine]]:
    """Start an engine of fixed speed."""
    started: list[Any] = []
    yield _factory(Engine, started)
    _stop(started)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway with the given settings, `clients` and `listen` with defaults for this machine."""
    started: list[Any] = []

    def kind(**settings: Any) -> Gateway:
        directory = tmp_path / f"gateway{len(started)}"
        directory.mkdir()
        return Gateway(directory, settings)

    yield _factory(kind, started)
    _stop(started)


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[Engine]:
    """One that answers at once, for all tests of a module."""
    engine = Engine()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))
