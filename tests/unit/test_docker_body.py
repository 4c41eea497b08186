"""What an operator writes of a container is what Docker's API gets, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.docker.container import container_body, endpoints, nanoseconds
from wxops.errors import InputError

SECOND = 10**9

BODIES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # what is written, fields of Config, fields of HostConfig
    ({}, {}, {}),
    ({"command": "sh -c 'echo a b'"}, {"Cmd": ["sh", "-c", "echo a b"]}, {}),
    ({"command": ["sleep", 5], "entrypoint": ["/init"]}, {"Cmd": ["sleep", "5"], "Entrypoint": ["/init"]}, {}),
    ({"env": {"A": "1", "B": 2, "C": None}}, {"Env": ["A=1", "B=2"]}, {}),
    ({"labels": {"a": 1}, "user": "1000"}, {"Labels": {"a": "1"}, "User": "1000"}, {}),
    (
        {"published_ports": ["8080:80", "127.0.0.1:53:53/udp", "9000"]},
        {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "9000/tcp": {}}},
        {"PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
            "9000/tcp": [{"HostIp": "", "HostPort": ""}]}},
    ),
    ({"published_ports": []}, {}, {"PortBindings": {}}),
    (
        {"published_ports": ["7000-7001:8000-8001"]},
        {"ExposedPorts": {"8000/tcp": {}, "8001/tcp": {}}},
        {"PortBindings": {f"800{n}/tcp": [{"HostIp": "", "HostPort": f"700{n}"}] for n in (0, 1)}},
    ),
    ({"volumes": ["/srv/models:/models:ro", "data:/data", "/cache"]}, {"Volumes": {"/cache": {}}},
     {"Binds": ["/srv/models:/models:ro", "data:/data"]}),
    ({"mounts": [{"type": "tmpfs", "target": "/t", "tmpfs_size": "1m"}]}, {},
     {"Mounts": [{"Target": "/t", "Source": None, "Type": "tmpfs", "ReadOnly": False,
                  "TmpfsOptions": {"SizeBytes": 1 << 20}}]}),
    ({"tmpfs": ["/run:size=64m", "/tmp"]}, {}, {"Tmpfs": {"/run": "size=64m", "/tmp": ""}}),
    ({"memory": "8g", "memory_swap": "-1", "shm_size": "512m"}, {},
     {"Memory": 8 << 30, "MemorySwap": -1, "ShmSize": 512 << 20}),
    ({"cpus": 1.5, "cpuset_cpus": "0-3"}, {}, {"NanoCpus": 1_500_000_000, "CpusetCpus": "0-3"}),
    ({"ulimits": ["nofile:1024:2048", "memlock=-1"]}, {},
     {"Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}, {"Name": "memlock", "Soft": -1, "Hard": -1}]}),
    ({"privileged": False, "read_only": True}, {}, {"Privileged": False, "ReadonlyRootfs": True}),
    ({"restart_policy": "on-failure", "restart_retries": 3}, {},
     {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
    ({"log_driver": "json-file", "log_options": {"max-size": "10m", "max-file": 3}}, {},
     {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}}),
    ({"devices": ["/dev/fuse"], "etc_hosts": {"a": "1.2.3.4"}, "groups": [5]}, {},
     {"Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
      "ExtraHosts": ["a:1.2.3.4"], "GroupAdd": ["5"]}),
    ({"healthcheck": {"test": "curl -f localhost", "interval": "1m30s", "retries": 3}},
     {"Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 90 * SECOND, "Retries": 3}}, {}),
    ({"healthcheck": {"test": "NONE"}}, {"Healthcheck": {"Test": ["NONE"]}}, {}),
    ({"healthcheck": {"test": ["CMD", "true"]}}, {"Healthcheck": {"Test": ["CMD", "true"]}}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "config", "host"), BODIES, ids=lambda value: ",".join(value) or "nothing")
def test_what_is_written_is_what_docker_gets(
    written: dict[str, Any], config: dict[str, Any], host: dict[str, Any]
) -> None:
    assert container_body(written) == {**config, "HostConfig": host}


GPUS = [
    ("all", -1, []), (2, 2, []), ("2", 2, []), ("device=0,2", 0, ["0", "2"]), ([0, "GPU-3a"], 0, ["0", "GPU-3a"]),
    ("GPU-3a", 0, ["GPU-3a"]), ("device=1", 0, ["1"]),
]  # fmt: skip


@pytest.mark.parametrize(("gpus", "count", "devices"), GPUS)
def test_gpus_are_those_of_docker_run(gpus: Any, count: int, devices: list[str]) -> None:
    (request,) = container_body({"gpus": gpus})["HostConfig"]["DeviceRequests"]
    assert (request["Count"], request["DeviceIDs"], request["Capabilities"]) == (count, devices, [["gpu"]])


REFUSED = [
    ({"memory": "8 elephants"}, "memory"),
    ({"published_ports": ["eighty"]}, "Invalid port"),
    ({"env": {"DEBUG": True}}, "DEBUG is not text"),
    ({"env": {"VERSION": 1.10}}, "VERSION is not text"),
    ({"healthcheck": {"every": "1s"}}, "healthcheck has no 'every'"),
    ({"healthcheck": {"interval": "soon"}}, "'soon' is no duration"),
    ({"mounts": [{"path": "/x"}]}, "mounts has no 'path'"),
    ({"ulimits": ["nofile"]}, "ulimits"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_cannot_be_meant_is_refused(written: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        container_body(written)


def test_a_value_that_is_refused_is_not_shown() -> None:
    with pytest.raises(InputError) as refused:
        container_body({"env": {"RATIO": 3.1415}})
    assert "3.14" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("1m30s", 90), ("1h", 3600), (5, 5), ("1.5s", 1.5), ("500ms", 0.5)]
)
def test_durations(text: Any, seconds: float) -> None:
    assert nanoseconds(text) == seconds * SECOND


def test_networks_keep_only_what_is_written() -> None:
    written = [{"name": "plain"}, {"name": "full", "aliases": ["b", "a"], "ipv4_address": "10.0.0.9"}]
    full = {"Aliases": ["a", "b"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}}
    assert endpoints(written) == {"plain": {}, "full": full}


def test_an_unknown_word_in_networks_is_refused() -> None:
    with pytest.raises(InputError, match="networks has no 'alias'"):
        endpoints([{"name": "n", "alias": "x"}])
