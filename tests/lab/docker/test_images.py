"""Images on a real engine: pulled, built, saved, pushed, and back under the names that they had."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.lab.docker.engine import clean, names, page, play, web
from tests.lab.module_case import ManagedHost
from wxops.lab import Lab


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
