"""playbooks/provision.yml as a whole: foreseen on a bare host, done, nothing left to do, taken back.

The host has no GPU and no Docker engine; image, registry, model, apt and containers are real.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.module_case import ManagedHost, Played, differences
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.lab.image import runtime_image

PROVISION = Path(__file__).parents[2] / "playbooks" / "provision.yml"
# What the engine makes for itself when it first starts, beside /var/lib/docker: not the playbook's to remove.
ENGINES_OWN = ("/etc/cni", "/etc/docker/key.json")


@pytest.fixture(scope="module")
def variables(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An image by digest and a checkpoint, as an operator names them in group_vars."""
    model = tmp_path_factory.mktemp("checkpoint") / "tiny"
    subprocess.run(
        [Path(sys.executable).with_name("wxruntime"), "tiny", "--random", model], check=True, capture_output=True
    )
    return {
        "runtime_image": runtime_image(lab.registry.address),
        "runtime_model_src": str(model),
        "runtime_smoke": True,
    }


@pytest.fixture
def bare_host(host: Host) -> Host:
    """A pristine host that has no container engine."""
    host.ssh("apt-get purge --yes docker.io && apt-get autoremove --purge --yes && rm -f /run/docker.sock")
    return host


def provision(managed: ManagedHost, variables: Mapping[str, Any], **options: Any) -> Played:
    return managed.run(PROVISION, extra_vars=dict(variables), **options)


def changes(played: Played) -> list[tuple[str, str, bool]]:
    """What each task came to, apart from questions over HTTP, which a check does not ask."""
    asked = ("Wait until the server is ready", "Ask it a question", "Show its answer")
    return [(r.host, r.task, r.status == "changed") for r in played.results if not r.task.endswith(asked)]


def test_a_bare_host_serves_a_model_and_is_as_it_was_after_rollback(
    bare_host: Host, managed: ManagedHost, variables: dict[str, Any]
) -> None:
    before = managed.tree(ENGINES_OWN)

    predicted = provision(managed, variables, check=True)
    assert predicted.exit_code == 0, predicted.told()
    assert differences(before, managed.tree(ENGINES_OWN)) == [], "check mode changed the host"

    first = provision(managed, variables)
    assert first.exit_code == 0, first.told()
    assert changes(first) == changes(predicted), "check mode said something else than what the run did"
    assert "你是谁？ -> " in first.told()
    container = json.loads(bare_host.ssh("docker inspect ernie").stdout)[0]
    assert container["State"]["Health"]["Status"] == "healthy"
    assert container["Config"]["User"] == "10001:10001"
    assert container["Config"]["Image"] == variables["runtime_image"]
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert container["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "50m"}}
    assert bare_host.ssh("docker info --format '{{.LiveRestoreEnabled}}'").stdout == "true\n"

    second = provision(managed, variables)
    assert "changed" not in second.statuses, second.told()

    back = managed.rollback(first.run)
    assert back.exit_code == 0, back.told()
    assert differences(before, managed.tree(ENGINES_OWN)) == []
    assert bare_host.ssh("command -v docker", check=False).returncode != 0
    assert bare_host.ssh("pgrep --full 'wxruntime engine'", check=False).returncode != 0


def test_the_container_goes_on_while_the_engine_takes_new_settings(
    host: Host, managed: ManagedHost, variables: dict[str, Any]
) -> None:
    assert provision(managed, variables).exit_code == 0
    started = host.ssh("docker inspect --format '{{.State.StartedAt}}' ernie").stdout

    played = provision(managed, {**variables, "docker_log_max_size": "10m"}, tags=frozenset({"docker"}))
    assert played.exit_code == 0, played.told()
    assert [r.task for r in played.results if r.status == "changed"] == [
        "docker : Write the engine's settings", "docker : Let the engine read its settings",
        "docker : Restart the engine",
    ]  # fmt: skip
    assert host.ssh("docker inspect --format '{{.State.StartedAt}}' ernie").stdout == started


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"runtime_image": ""}, "Which image is to run on"),
        ({"runtime_model_src": "", "runtime_model": "nowhere"}, "There is no model in /srv/models/nowhere"),
    ],
)
def test_what_is_missing_is_named(
    wrong: dict[str, Any], reason: str, managed: ManagedHost, variables: dict[str, Any]
) -> None:
    played = provision(managed, {**variables, **wrong}, check=True)
    assert played.exit_code == 2
    assert reason in played.told()


@pytest.mark.parametrize(
    "wrong",
    [{"runtime_image": ""}, {"runtime_model_src": "/nowhere"}, {"runtime_profile": "vllm.yaml"}],  # an example's digest
)
def test_what_the_controller_knows_to_be_wrong_is_said_before_the_first_change(
    wrong: dict[str, Any], managed: ManagedHost, variables: dict[str, Any]
) -> None:
    played = provision(managed, {**variables, **wrong})
    assert played.exit_code == 2
    assert not [result for result in played.results if result.status == "changed"]


def test_another_family_of_systems_is_refused_whatever_part_is_asked_for(
    host: Host, managed: ManagedHost, variables: dict[str, Any]
) -> None:
    (host.root / "etc/debian_version").unlink()
    (host.root / "etc/os-release").unlink()
    (host.root / "etc/os-release").write_text('NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel"\nVERSION_ID="9.6"\n')
    (host.root / "etc/redhat-release").write_text("Rocky Linux release 9.6 (Blue Onyx)\n")
    for tags in (frozenset(), frozenset({"docker"})):
        played = provision(managed, variables, tags=tags)
        assert played.exit_code == 2
        assert "So far only Debian and Ubuntu are supported" in played.told()
        assert [result.status for result in played.results] == ["failed"]
