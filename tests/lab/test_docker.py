"""Containers, images and networks on a real engine: made once, changed when they must, and back as they were."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.lab.docker_host import clean, inspect, lasting, make_images, names
from tests.lab.module_case import ManagedHost
from wxops.docker.client import TunnelledClient
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.playbook.inventory import Inventory
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import connection_options


@pytest.fixture(scope="module")
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


def web(registry: str, **more: Any) -> list[dict[str, Any]]:
    """A task that runs the small web server."""
    return [{"docker_container": {"name": "web", "image": f"{registry}/web:1", "published_ports": ["8080:8000"],
                                  "restart_policy": "unless-stopped", **more}}]  # fmt: skip


def page(host: Host, port: int = 8080) -> str:
    line = f"curl --silent --max-time 5 --retry 5 --retry-connrefused --retry-delay 1 http://127.0.0.1:{port}/"
    return host.ssh(line, check=False).stdout.strip()


def play(docker: ManagedHost, tasks: Any, **options: Any) -> Any:
    played = docker.play(tasks, **options)
    assert played.exit_code == 0, played.told()
    return played


# -- containers --------------------------------------------------------------------------------------------------------


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


# -- images ------------------------------------------------------------------------------------------------------------


def test_an_image_is_pulled_by_digest_and_taken_back(docker: ManagedHost, registry: str) -> None:
    play(docker, [{"docker_image": {"name": f"{registry}/web:1", "source": "pull"}}])
    shown = docker.host.ssh(f"docker image inspect {registry}/web:1").stdout
    (digest,) = json.loads(shown)[0]["RepoDigests"]
    clean(docker.host)
    tasks = [{"docker_image": {"name": digest, "source": "pull"}}]
    assert play(docker, tasks, check=True).statuses == ["changed"]
    assert names(docker.host, "image") == []
    played = play(docker, tasks)
    assert played.results[0].result["image"]["RepoDigests"] == [digest]
    assert play(docker, tasks).statuses == ["ok"]
    docker.rollback(played.run)
    assert docker.host.ssh("docker images --all --quiet").stdout == ""


def test_a_container_by_digest_pulls_it_and_both_go_back(docker: ManagedHost, registry: str) -> None:
    play(docker, [{"docker_image": {"name": f"{registry}/web:2", "source": "pull"}}])
    (digest,) = json.loads(docker.host.ssh(f"docker image inspect {registry}/web:2").stdout)[0]["RepoDigests"]
    clean(docker.host)
    tasks = web(registry, image=digest)
    played = play(docker, tasks)
    assert page(docker.host) == "generation 2"
    assert play(docker, tasks).statuses == ["ok"]
    docker.rollback(played.run)
    assert names(docker.host) == []


def test_a_tag_that_moved_is_pulled_again_and_put_back(docker: ManagedHost, registry: str) -> None:
    moving = f"{registry}/web:moving"
    always = [{"docker_image": {"name": moving, "source": "pull", "force_source": True}}]
    play(docker, always)
    before = json.loads(docker.host.ssh(f"docker image inspect {moving}").stdout)[0]["Id"]
    assert play(docker, always, check=True).statuses == play(docker, always).statuses == ["ok"]
    docker.host.ssh(f"docker pull --quiet {registry}/web:2; docker tag {registry}/web:2 {moving}; "
                    f"docker push --quiet {moving}; docker rmi {registry}/web:2; docker pull --quiet {registry}/web:1; "
                    f"docker tag {registry}/web:1 {moving}; docker rmi {registry}/web:1")  # fmt: skip
    assert play(docker, always, check=True).statuses == ["changed"]
    played = play(docker, always)
    assert json.loads(docker.host.ssh(f"docker image inspect {moving}").stdout)[0]["Id"] != before
    docker.rollback(played.run)
    assert json.loads(docker.host.ssh(f"docker image inspect {moving}").stdout)[0]["Id"] == before
    docker.host.ssh(f"docker push --quiet {moving}")


def test_an_image_that_was_removed_comes_back_without_a_registry(docker: ManagedHost, registry: str) -> None:
    docker.host.ssh(
        f"docker pull --quiet {registry}/web:1; docker tag {registry}/web:1 local:1; docker rmi {registry}/web:1"
    )
    played = play(docker, [{"docker_image": {"name": "local:1", "state": "absent"}}])
    assert played.statuses == ["changed"]
    assert names(docker.host, "image") == []
    docker.rollback(played.run)
    assert names(docker.host, "image") == ["local:1"]


def test_an_image_is_built_saved_loaded_and_pushed(docker: ManagedHost, registry: str) -> None:
    build = {"path": "/root/image", "args": {"GENERATION": "hunter2"}}
    tasks = [
        {"docker_image": {"name": "own:1", "source": "build", "build": build}},
        {"docker_image": {"name": "own:1", "source": "local", "archive_path": "/root/own.tar",
                          "repository": f"{registry}/own", "push": True}},
        {"docker_image": {"name": "own:1", "state": "absent"}},
        {"docker_image": {"name": "own:1", "source": "load", "load_path": "/root/own.tar"}},
    ]  # fmt: skip
    played = play(docker, tasks)
    assert played.statuses == ["changed"] * 4
    assert play(docker, [tasks[0], tasks[1], tasks[3]]).statuses == ["ok"] * 3
    assert set(names(docker.host, "image")) == {"own:1", f"{registry}/own:1"}
    back = docker.rollback(played.run)
    assert "pushed" in str(back.results[0].result["irreversible"])
    assert names(docker.host, "image") == []
    assert docker.host.ssh("ls /root/own.tar", check=False).returncode != 0


def test_an_image_that_no_registry_has_fails_in_check_mode_too(docker: ManagedHost, registry: str) -> None:
    tasks = [{"docker_image": {"name": f"{registry}/none:1", "source": "pull"}}]
    for check in (True, False):
        failed = docker.play(tasks, check=check)
        assert failed.statuses == ["failed"]
        assert "none:1" in failed.told() and "no such tag" in failed.told()


@pytest.fixture
def private_registry(lab: Lab, docker: ManagedHost, tmp_path: Path) -> Iterator[str]:
    """A registry that only `me` with `hunter2` may use."""
    address, folder = f"{lab.network.gateway}:5001", lab.registry.folder
    hashed = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()
    (tmp_path / "users").write_text(f"me:{hashed}\n")
    (tmp_path / "config.yml").write_text(f"""
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}
http: {{addr: "{address}", tls: {{certificate: {folder}/registry.crt, key: {folder}/registry.key}}}}
auth: {{htpasswd: {{realm: here, path: {tmp_path}/users}}}}
""")
    trust = f"/etc/docker/certs.d/{address}"
    docker.host.ssh(f"mkdir -p {trust} && cat >{trust}/ca.crt", text=lab.registry.certificate.read_text())
    with subprocess.Popen(["docker-registry", "serve", tmp_path / "config.yml"], stderr=subprocess.DEVNULL) as server:
        yield address
        server.terminate()
    docker.host.ssh(f"rm -r {trust}; docker logout {address}", check=False)


def test_a_private_registry_gets_its_login_and_nobody_else_does(
    docker: ManagedHost, registry: str, private_registry: str
) -> None:
    image = f"{private_registry}/web:1"
    login = {"registry_username": "me", "registry_password": "hunter2"}
    pushed = play(docker, [{"docker_image": {"name": f"{registry}/web:1", "source": "pull"}},
                           {"docker_image": {"name": f"{registry}/web:1", "source": "local", "push": True,
                                             "repository": f"{private_registry}/web", **login}}])  # fmt: skip
    clean(docker.host)
    pull: dict[str, Any] = {"name": image, "source": "pull"}
    refused = docker.play([{"docker_image": pull}])
    assert "registry_username" in refused.told()
    pulled = play(docker, [{"docker_image": {**pull, **login}}])
    assert play(docker, [{"docker_image": {**pull, **login, "force_source": True}}]).statuses == ["ok"]
    assert "hunter2" not in str((pushed.events, refused.events, pulled.events))
    assert docker.host.ssh("grep -r hunter2 /var/lib/wxops /var/log", check=False).stdout == ""
    clean(docker.host)
    docker.host.ssh(f"docker login --username me --password-stdin {private_registry}", text="hunter2")
    assert play(docker, web(registry, image=image)).statuses == ["changed"]


# -- networks ----------------------------------------------------------------------------------------------------------


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


# -- the SDK, and killed agents ----------------------------------------------------------------------------------------


@pytest.fixture
def agent(docker: ManagedHost) -> Iterator[Agent]:
    variables = Inventory.load([docker.inventory]).variables(docker.host.name)
    options = connection_options(docker.host.name, {**variables, "ansible_user": "root"})
    agent = Agent(options, None, RunIdentity("sdk"))
    yield agent
    agent.close()


def test_the_sdk_pulls_runs_reads_logs_and_executes_through_the_tunnel(
    agent: Agent, docker: ManagedHost, registry: str
) -> None:
    client = TunnelledClient(agent.open_socket)
    progress = list(client.api.pull(f"{registry}/web", tag="1", stream=True, decode=True))
    assert any("Digest" in line["status"] for line in progress)
    container = client.containers.run(f"{registry}/web:1", ["sh", "-c", "seq 1 3; sleep 60"], detach=True)
    lines = container.logs(stream=True, follow=True)
    assert b"".join(next(lines) for _ in range(3)) == b"1\n2\n3\n"
    assert container.exec_run("seq 1 100000").output.endswith(b"99999\n100000\n")
    done = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
    assert (done.exit_code, done.output) == (3, (b"out\n", b"err\n"))
    _, connection = container.exec_run("cat", stdin=True, socket=True)
    connection.sendall(b"hello\n")
    assert connection.recv(100).endswith(b"hello\n")
    connection.close()
    client.close()


KILLS = [0.0, 0.1, 0.2, 0.25, 0.3, 0.4]


@pytest.mark.parametrize("seconds", KILLS)
def test_a_killed_agent_leaves_what_rollback_and_a_second_run_can_mend(
    docker: ManagedHost, registry: str, seconds: float
) -> None:
    play(docker, web(registry))
    docker.host.ssh("docker exec web sh -c 'echo precious >/written'")
    before = lasting(docker.host, "web")
    tasks = [{"docker_network": {"name": "inner"}}, *web(registry, labels={"new": "1"}, networks=[{"name": "inner"}])]
    killer = threading.Thread(target=kill_agent_after, args=(docker.host, seconds))
    killer.start()
    killed = docker.play(tasks)
    killer.join()
    docker.rollback(killed.run)
    assert lasting(docker.host, "web") == before
    assert docker.host.ssh("docker exec web cat /written").stdout == "precious\n"
    assert names(docker.host) == ["web"]
    again = play(docker, tasks)
    assert again.statuses == ["changed", "changed"]
    assert page(docker.host) == "generation 1"
    docker.rollback(again.run)
    assert lasting(docker.host, "web") == before


def kill_agent_after(host: Host, seconds: float) -> None:
    """End the agent so many seconds after it wrote its first step down."""
    script = """
for attempt in $(seq 400); do
    journal=$(find /var/lib/wxops/journal -name steps.jsonl -newer /root/before-the-kill | head -n 1)
    if test -n "$journal"; then break; fi
    sleep 0.01
done
sleep SECONDS
for process in /proc/[0-9]*; do
    if tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -q "WXOPS-AGENT-[R]EADS"; then kill -KILL ${process#/proc/}; fi
done
"""
    with contextlib.suppress(Exception):
        host.ssh("touch /root/before-the-kill; " + script.replace("SECONDS", str(seconds)), check=False)
