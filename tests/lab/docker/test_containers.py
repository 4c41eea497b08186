"""Containers on a real engine: made once, made anew when they must be, and back as they were."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.docker.engine import inspect, lasting, names, page, play, web
from tests.lab.module_case import ManagedHost


def test_a_container_is_made_once_and_answers_on_its_port(docker: ManagedHost, registry: str) -> None:
    tasks = web(registry, env={"MODE": "test"})
    assert play(docker, tasks, check=True).statuses == ["changed"]
    assert names(docker.host) == names(docker.host, "image") == []
    first = play(docker, tasks)
    assert first.statuses == ["changed"]
    assert page(docker.host) == "generation 1"
    assert play(docker, tasks, check=True).statuses == play(docker, tasks).statuses == ["ok"]
    docker.rollback(first.run)
    assert names(docker.host) == []


def test_another_environment_makes_it_anew_and_shows_no_value(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry, env={"TOKEN": "hunter2", "OLD": "hunter4"}))
    was = inspect(docker.host, "web")["Id"]
    changed = web(registry, env={"TOKEN": "hunter3", "NEW": "hunter5"})
    predicted = play(docker, changed, check=True)
    played = play(docker, changed)
    assert predicted.statuses == played.statuses == ["changed"]
    assert predicted.diffs == played.diffs
    assert "Env TOKEN" in str(played.diffs) and "Env NEW" in str(played.diffs) and "Env OLD" in str(played.diffs)
    assert "hunter" not in str(played.events)
    assert inspect(docker.host, "web")["Id"] != was
    assert "TOKEN=hunter3" in inspect(docker.host, "web")["Config"]["Env"]


DIFFERENCES = [
    ({"command": ["httpd", "-f", "-p", "8000", "-h", "/bin"]}, "Cmd"),
    ({"published_ports": ["8081:8000"]}, "PortBindings"),
    ({"volumes": ["/root/image:/www:ro"]}, "Binds"),
    ({"memory": "64m"}, "Memory"),
    ({"labels": {"team": "a"}}, "Labels"),
    ({"user": "1000"}, "User"),
    ({"ulimits": ["nofile:1000:2000"]}, "Ulimits"),
    ({"healthcheck": {"test": "true", "interval": "1s"}}, "Healthcheck"),
    ({"network_mode": "host"}, "NetworkMode"),
    ({"log_options": {"max-size": "1m"}}, "LogConfig"),
    ({"read_only": True, "tmpfs": ["/t:size=1m"]}, "Tmpfs"),
    ({"cap_drop": ["NET_RAW"], "security_opts": ["no-new-privileges"]}, "SecurityOpt"),
    ({"sysctls": {"net.core.somaxconn": 100}}, "Sysctls"),
    ({"devices": ["/dev/null:/dev/other"]}, "Devices"),
    ({"mounts": [{"type": "volume", "source": "data", "target": "/data"}]}, "Mounts"),
    ({"stop_timeout": 3, "hostname": "h", "working_dir": "/www", "etc_hosts": {"a": "1.2.3.4"}}, "ExtraHosts"),
]


def test_every_setting_that_differs_makes_it_anew_once(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    for more, field in DIFFERENCES:
        was = inspect(docker.host, "web")["Id"]
        tasks = web(registry, **more)
        predicted, played = play(docker, tasks, check=True), play(docker, tasks)
        assert predicted.statuses == played.statuses == ["changed"], field
        assert predicted.diffs == played.diffs
        assert field in str(played.diffs)
        assert inspect(docker.host, "web")["Id"] != was
        assert play(docker, tasks).statuses == ["ok"], field


@pytest.mark.parametrize(
    "more", [{"image": "web:2"}, {"published_ports": ["8081:8000"]}, {"network_mode": "host"}], ids=str
)
def test_rollback_brings_the_very_container_back(docker: ManagedHost, registry: str, more: dict[str, Any]) -> None:
    play(docker, web(registry))
    docker.host.ssh("docker exec web sh -c 'echo precious >/written'")
    before = lasting(docker.host, "web")
    if "image" in more:
        more = {"image": f"{registry}/{more['image']}"}
    played = play(docker, web(registry, **more))
    assert lasting(docker.host, "web")["Id"] != before["Id"]
    docker.rollback(played.run)
    assert lasting(docker.host, "web") == before
    assert docker.host.ssh("docker exec web cat /written").stdout == "precious\n"
    assert page(docker.host) == "generation 1"
    assert names(docker.host, "image") == [f"{registry}/web:1"]


def test_limits_and_policy_change_in_place_and_back(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry, cpus=1, cpuset_cpus="0"))
    before = lasting(docker.host, "web")
    played = play(docker, web(registry, cpus=0.5, cpuset_cpus="0-1", restart_policy="always"))
    assert played.statuses == ["changed"]
    after = lasting(docker.host, "web")
    assert after["Id"] == before["Id"]
    assert after["HostConfig"]["NanoCpus"] == 500_000_000
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "always"
    docker.rollback(played.run)
    assert lasting(docker.host, "web") == before


@pytest.mark.parametrize(
    ("state", "running"), [("stopped", False), ("absent", None), ("started", True), ("present", True)]
)
def test_states(docker: ManagedHost, registry: str, state: str, running: bool | None) -> None:
    play(docker, web(registry))
    before = lasting(docker.host, "web")
    played = play(docker, web(registry, state=state))
    assert played.statuses == (["ok"] if running else ["changed"])
    assert lasting(docker.host, "web")["Running"] is running
    assert play(docker, web(registry, state=state)).statuses == ["ok"]
    docker.rollback(played.run)
    assert lasting(docker.host, "web") == before


def test_what_is_not_written_stays_as_it_is(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry, memory="64m", env={"A": "1"}, labels={"a": "b"}))
    assert play(docker, web(registry)).statuses == ["ok"]
    assert play(docker, [{"docker_container": {"name": "web"}}]).statuses == ["ok"]


def test_restart_and_recreate_are_changes_each_time(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    was = inspect(docker.host, "web")
    assert play(docker, web(registry, restart=True)).statuses == ["changed"]
    restarted = inspect(docker.host, "web")
    assert restarted["Id"] == was["Id"] and restarted["State"]["StartedAt"] != was["State"]["StartedAt"]
    assert play(docker, web(registry, recreate=True)).statuses == ["changed"]
    assert inspect(docker.host, "web")["Id"] != was["Id"]


def test_a_container_that_does_not_start_leaves_the_old_one_running(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    before = lasting(docker.host, "web")
    failed = docker.play(web(registry, command=["/no/such/program"]))
    assert failed.statuses == ["failed"]
    assert "no such file" in failed.told() and "is back" in failed.told()
    assert lasting(docker.host, "web") == before
    assert names(docker.host) == ["web"]


def test_what_the_engine_refuses_touches_nothing(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    before = inspect(docker.host, "web")
    failed = docker.play(web(registry, volumes=["relative/path:/x"]))
    assert failed.statuses == ["failed"]
    assert inspect(docker.host, "web")["State"]["StartedAt"] == before["State"]["StartedAt"]


def test_gpus_without_the_toolkit_say_what_to_install(docker: ManagedHost, registry: str) -> None:
    failed = docker.play(web(registry, gpus="all"))
    assert failed.statuses == ["failed"]
    assert "nvidia-container-toolkit" in failed.told()


def test_healthy_waits_for_the_check(docker: ManagedHost, registry: str) -> None:
    check = {"test": "test -e /ready", "interval": "1s", "retries": 1}
    tasks = web(registry, state="healthy", healthcheck=check, command="sh -c 'sleep 2; touch /ready; sleep 60'")
    played = play(docker, tasks)
    assert played.results[0].result["container"]["State"]["Health"]["Status"] == "healthy"
    assert play(docker, tasks).statuses == ["ok"]


def test_a_container_that_never_becomes_healthy_fails_with_its_last_lines(docker: ManagedHost, registry: str) -> None:
    check = {"test": "echo not yet; false", "interval": "1s", "retries": 1}
    failed = docker.play(web(registry, state="healthy", healthcheck=check, healthy_wait_timeout=2,
                             command="sh -c 'echo loading weights; sleep 60'"))  # fmt: skip
    assert failed.statuses == ["failed"]
    assert "loading weights" in failed.told() and "not yet" in failed.told()


def test_a_container_that_ends_fails_at_once_with_its_code(docker: ManagedHost, registry: str) -> None:
    started = time.monotonic()
    failed = docker.play(web(registry, state="healthy", restart_policy="no", healthcheck={"test": "false"},
                             command="sh -c 'echo out of memory; exit 7'"))  # fmt: skip
    assert "code 7" in failed.told() and "out of memory" in failed.told()
    assert time.monotonic() - started < 20


def test_healthy_without_a_check_is_refused_before_anything_changes(docker: ManagedHost, registry: str) -> None:
    failed = docker.play(web(registry, state="healthy"))
    assert "needs a health check" in failed.told()
    assert names(docker.host) == []


def test_a_name_that_begins_an_id_is_not_taken_for_it(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    number = inspect(docker.host, "web")["Id"]
    short = next(number[:length] for length in range(2, 12))
    assert play(docker, [{"docker_container": {"name": short, "state": "absent"}}]).statuses == ["ok"]
    assert lasting(docker.host, "web")["Running"]


def test_variables_from_a_file_of_the_host_even_one_that_check_mode_only_plans(
    docker: ManagedHost, registry: str
) -> None:
    tasks = [
        {"copy": {"dest": "/root/web.env", "content": "# comment\nFROM_FILE=1\nBOTH=file\n"}},
        *web(registry, env_file="/root/web.env", env={"BOTH": "task"}),
        {"file": {"path": "/root/web.env", "state": "absent"}},
    ]
    assert play(docker, tasks, check=True).statuses == ["changed"] * 3
    play(docker, tasks)
    assert {"FROM_FILE=1", "BOTH=task"} <= set(inspect(docker.host, "web")["Config"]["Env"])


def test_each_name_keeps_what_the_last_three_runs_put_aside(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    for number in range(5):
        play(docker, web(registry, labels={"number": number}))
        time.sleep(1)  # run ids sort by the second
    kept = docker.host.ssh("docker ps --all --quiet --filter name=^/web.wxops-").stdout.split()
    assert len(kept) == 3


def test_a_container_that_is_gone_is_named_before_anything_is_taken_back(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry))
    played = play(docker, web(registry, labels={"new": 1}))
    docker.host.ssh("docker ps --all --quiet --filter name=^/web.wxops- | xargs docker rm")
    now = lasting(docker.host, "web")
    back = docker.rollback(played.run)
    assert "is gone" in str(back.results[0].result["irreversible"])
    assert lasting(docker.host, "web") == now


def test_a_container_with_rm_is_replaced_and_rollback_says_that_it_cannot_come_back(
    docker: ManagedHost, registry: str
) -> None:
    docker.host.ssh(f"docker run --detach --rm --name web {registry}/web:1")
    played = play(docker, web(registry))
    back = docker.rollback(played.run)
    assert "--rm" in str(back.results[0].result["irreversible"])


def test_what_is_kept_does_not_come_up_by_itself(docker: ManagedHost, registry: str) -> None:
    play(docker, web(registry, restart_policy="always"))
    play(docker, web(registry, restart_policy="always", labels={"new": 1}))
    docker.host.ssh("systemctl restart docker")
    assert docker.host.ssh("docker ps --format '{{.Names}}'").stdout.split() == ["web"]
    assert page(docker.host) == "generation 1"
