"""A container that is as it was asked for is left alone, in whatever form Docker shows it; a difference is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.agent.container_config import STEP_LABEL, complete, differences

INSPECTED: dict[str, Any] = {
    "Env": ["A=1", "PATH=/bin"],
    "Cmd": ["serve"],
    "Entrypoint": None,
    "Labels": {"maker": "us", STEP_LABEL: "20260101-000000-abcd-123456"},
    "User": "",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5, "Retries": 3},
    "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
    "Volumes": None,
    "HostConfig": {
        "Binds": ["/srv:/srv", "data:/data:ro"],
        "CapAdd": ["CAP_SYS_ADMIN"],
        "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}],
        "ExtraHosts": ["a:1.2.3.4", "b:1.2.3.5"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "Memory": 1024,
        "Mounts": [{"Type": "tmpfs", "Target": "/t"}],
        "NetworkMode": "default",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "Privileged": False,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "ShmSize": 67108864,
        "Sysctls": None,
        "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}, {"Name": "core", "Hard": 0, "Soft": 0}],
    },
}

SAME: list[dict[str, Any]] = [
    {},
    {"Cmd": ["serve"]},
    {"Entrypoint": []},
    {"Env": ["PATH=/bin", "A=1"]},
    {"Labels": {"maker": "us"}},
    {"Healthcheck": {"Interval": 5}},
    {"ExposedPorts": {"80/tcp": {}}},
    {"Volumes": {}},
    {"HostConfig": {"Binds": ["data:/data:ro", "/srv:/srv:rw"]}},
    {"HostConfig": {"CapAdd": ["SYS_ADMIN"]}},
    {
        "HostConfig": {
            "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]
        }
    },
    {"HostConfig": {"ExtraHosts": ["b:1.2.3.5", "a:1.2.3.4"]}},
    {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}}},
    {"HostConfig": {"LogConfig": {"Type": "", "Config": {"max-file": "3"}}}},
    {"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/t", "Source": None, "ReadOnly": False}]}},
    {"HostConfig": {"NetworkMode": "bridge"}},
    {"HostConfig": {"Privileged": False, "Sysctls": {}}},
    {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 5}}},
    {"HostConfig": {"Ulimits": [{"Name": "core", "Hard": 0, "Soft": 0}, {"Name": "nofile", "Soft": 1, "Hard": 2}]}},
]

OTHER: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"Cmd": ["other"]}, ("Cmd", '["serve"]', '["other"]')),
    ({"Labels": {}}, ("Labels", '{"maker": "us"}', "")),
    ({"Healthcheck": {"Test": ["NONE"]}}, ("Healthcheck", '{"Test": ["CMD", "true"]}', '{"Test": ["NONE"]}')),
    ({"ExposedPorts": {"53/udp": {}}}, ("ExposedPorts", '{"53/udp": null}', '{"53/udp": {}}')),
    ({"HostConfig": {"Binds": ["/srv:/srv:ro"]}}, ("Binds", '["/srv:/srv:", "data:/data:ro"]', '["/srv:/srv:ro"]')),
    ({"HostConfig": {"Memory": 2048}}, ("Memory", "1024", "2048")),
    ({"HostConfig": {"Memory": 0}}, ("Memory", "1024", "")),
    ({"HostConfig": {"NetworkMode": "host"}}, ("NetworkMode", "default", "host")),
    ({"HostConfig": {"PortBindings": {}}}, ("PortBindings", '{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}', "")),
    ({"HostConfig": {"Privileged": True}}, ("Privileged", "", "true")),
    ({"HostConfig": {"RestartPolicy": {"Name": "no"}}}, ("RestartPolicy", "unless-stopped", "no")),
    (
        {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}},
        ("RestartPolicy", "unless-stopped", "on-failure:2"),
    ),
]


@pytest.mark.parametrize("wanted", SAME, ids=str)
def test_what_is_as_asked_is_no_difference(wanted: dict[str, Any]) -> None:
    assert differences(INSPECTED, wanted) == []


@pytest.mark.parametrize(("wanted", "difference"), OTHER, ids=[str(wanted) for wanted, _ in OTHER])
def test_a_difference_tells_the_field_and_both_values(wanted: dict[str, Any], difference: tuple[str, str, str]) -> None:
    assert differences(INSPECTED, wanted) == [difference]


def test_the_environment_is_compared_by_name_and_never_shown() -> None:
    found = differences(INSPECTED, {"Env": ["A=hunter2", "NEW=hunter3"]})
    assert [field for field, _, _ in found] == ["Env A", "Env NEW", "Env PATH"]
    assert "hunter" not in str(found) and "/bin" not in str(found)


def test_an_image_adds_its_environment_and_labels_to_what_was_asked() -> None:
    image = {"Env": ["PATH=/bin", "A=0"], "Labels": {"maker": "us", "v": "1"}}
    full = complete({"Env": ["A=1"], "Labels": {"v": "2"}, "Cmd": ["x"]}, image)
    assert full == {"Env": ["PATH=/bin", "A=1"], "Labels": {"maker": "us", "v": "2"}, "Cmd": ["x"]}


def test_what_was_not_asked_for_is_not_taken_from_the_image() -> None:
    assert complete({"Cmd": ["x"]}, {"Env": ["A=0"], "Labels": {"v": "1"}}) == {"Cmd": ["x"]}
