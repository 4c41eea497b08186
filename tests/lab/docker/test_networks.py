"""Docker networks on a real engine: made once, made anew with their containers, and back as they were."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.docker.engine import inspect, lasting, names, play, web
from tests.lab.module_case import ManagedHost


def test_a_network_is_made_once_joined_and_taken_back(docker: ManagedHost, registry: str) -> None:
    tasks = [
        {"docker_network": {"name": "inner", "ipam_config": [{"subnet": "172.31.9.0/24"}], "labels": {"a": "b"}}},
        *web(registry, networks=[{"name": "inner", "ipv4_address": "172.31.9.9", "aliases": ["served"]}]),
    ]
    before = names(docker.host, "network")
    predicted, played = play(docker, tasks, check=True), play(docker, tasks)
    assert predicted.statuses == played.statuses == ["changed", "changed"]
    assert play(docker, tasks).statuses == ["ok", "ok"]
    networks = inspect(docker.host, "web")["NetworkSettings"]["Networks"]
    assert list(networks) == ["inner"] and networks["inner"]["IPAddress"] == "172.31.9.9"
    docker.rollback(played.run)
    assert names(docker.host, "network") == before


def test_a_network_that_changes_keeps_its_containers_and_addresses(docker: ManagedHost, registry: str) -> None:
    network = {"name": "inner", "ipam_config": [{"subnet": "172.31.9.0/24"}]}
    tasks = [
        {"docker_network": network},
        *web(registry, networks=[{"name": "inner", "ipv4_address": "172.31.9.9", "aliases": ["served"]}]),
    ]
    play(docker, tasks)
    docker.host.ssh(f"docker create --name idle --network inner {registry}/web:1")

    def endpoints() -> Any:
        return {
            name: inspect(docker.host, name)["NetworkSettings"]["Networks"]["inner"]["IPAMConfig"]
            for name in ("web", "idle")
        }

    before, was = endpoints(), json.loads(docker.host.ssh("docker network inspect inner").stdout)[0]
    changed = [{"docker_network": {**network, "internal": True}}]
    played = play(docker, changed)
    assert played.statuses == ["changed"]
    assert play(docker, changed).statuses == play(docker, tasks).statuses[:1] == ["ok"]
    assert endpoints() == before
    docker.host.ssh("docker start idle")
    docker.rollback(played.run)
    now = json.loads(docker.host.ssh("docker network inspect inner").stdout)[0]
    assert endpoints() == before
    assert {key: now[key] for key in ("Internal", "IPAM", "Driver")} == {
        key: was[key] for key in ("Internal", "IPAM", "Driver")
    }
    assert docker.host.ssh("docker exec web wget -q -O - http://idle:8000/").stdout == "generation 1\n"


def test_a_container_on_a_network_that_was_made_anew_comes_back(docker: ManagedHost, registry: str) -> None:
    """The engine itself does not start a container whose network was replaced by one of the same name."""
    play(docker, [{"docker_network": {"name": "inner"}}, *web(registry, networks=[{"name": "inner"}])])
    before = lasting(docker.host, "web")
    played = play(docker, [{"docker_container": {"name": "web", "state": "absent"}},
                           {"docker_network": {"name": "inner", "force": True}}])  # fmt: skip
    back = docker.rollback(played.run)
    assert back.exit_code == 0, back.told()
    assert lasting(docker.host, "web") == before


def test_containers_are_connected_and_disconnected(docker: ManagedHost, registry: str) -> None:
    play(docker, [*web(registry), {"docker_network": {"name": "inner"}}])
    join = [{"docker_network": {"name": "inner", "connected": ["web"]}}]
    played = play(docker, join)
    assert lasting(docker.host, "web")["Networks"] == ["bridge", "inner"]
    assert play(docker, join).statuses == ["ok"]
    docker.rollback(played.run)
    assert lasting(docker.host, "web")["Networks"] == ["bridge"]


def test_a_network_that_is_not_there_is_missed_before_anything_changes(docker: ManagedHost, registry: str) -> None:
    failed = docker.play(web(registry, networks=[{"name": "nowhere"}]))
    assert "no network nowhere" in failed.told()
    assert names(docker.host) == []
