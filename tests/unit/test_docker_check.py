"""Check mode tells the truth of an engine that is not there yet; where none is coming, an error says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.agent import docker_socket
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.docker_container import docker_container
from wxops.agent.modules.docker_image import docker_image
from wxops.agent.modules.docker_network import docker_network

BODY: dict[str, Any] = {"Env": ["A=1"], "HostConfig": {"Memory": 1 << 20}}


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """A check on a host without an engine."""
    monkeypatch.setattr(docker_socket, "SOCKET", str(tmp_path / "docker.sock"))
    return Change(View(), Journal("run", root=str(tmp_path)), check=True)


def again(change: Change) -> Change:
    """The next task of the same check."""
    return Change(change.view, change.journal, check=True)


def run(change: Change, **more: Any) -> Change:
    arguments = {"name": "web", "image": "web:1", "state": "started", "config": BODY, "networks": {}, **more}
    docker_container(change, **arguments)
    return change


def engine_is_coming(change: Change) -> None:
    change.view.overlay["package", "dpkg"] = {"packages": {"docker.io": {}}}


def test_no_engine_and_none_coming_is_an_error_that_says_so(change: Change) -> None:
    with pytest.raises(ModuleFailure, match="Docker does not answer at"):
        run(change)


def test_with_an_engine_that_an_earlier_task_brings_all_is_foreseen_once(change: Change) -> None:
    engine_is_coming(change)
    assert run(change).changed
    assert not run(again(change)).changed
    assert run(again(change), config={"HostConfig": {"Memory": 2 << 20}}).changed
    assert run(again(change), state="absent").changed
    assert not run(again(change), state="absent").changed


def test_an_image_that_is_foreseen_is_there_for_later_tasks(change: Change) -> None:
    engine_is_coming(change)
    docker_image(change, name="web:1", source="pull")
    assert change.changed
    later = again(change)
    docker_image(later, name="web", tag="1", source="local")
    assert not later.changed
    with pytest.raises(ModuleFailure, match="`pull: never`"):
        run(again(change), image="other", pull="never")


def test_a_network_that_is_foreseen_can_be_joined(change: Change) -> None:
    engine_is_coming(change)
    with pytest.raises(ModuleFailure, match="no network inner"):
        run(again(change), networks={"inner": {}})
    docker_network(change, name="inner", ipam_config=[{"subnet": "10.9.0.0/24"}])
    assert run(again(change), networks={"inner": {"Aliases": ["a"]}}).changed
    later = again(change)
    docker_network(later, name="inner", connected=["web"])
    assert later.changed


def test_a_mistake_in_an_address_range_is_named(change: Change) -> None:
    engine_is_coming(change)
    with pytest.raises(ModuleFailure, match="ipam_config has no net; it has subnet"):
        docker_network(change, name="inner", ipam_config=[{"net": "10.9.0.0/24"}])
