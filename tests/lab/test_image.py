"""The runtime image, pulled by digest from the lab's registry, serves on a host as a deployment runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.lab.image import runtime_image

WXRUNTIME = Path(sys.executable).with_name("wxruntime")
QUESTION, ANSWER = "你是谁？", "我是文心小样，一个用来测试的微型模型。"
# As tight as a deployment may make it: a read-only root, no capability, no network but the published port.
RUN = "docker run --detach --name ernie --publish 8000:8000 --read-only --tmpfs /tmp --cap-drop ALL"
MODEL = "--volume /srv/models/tiny:/models:ro --env WXRUNTIME_SERVED_MODEL_NAME=ernie-tiny"


@pytest.fixture(scope="module")
def reference(lab: Lab) -> str:
    return runtime_image(lab.registry.address)


@pytest.fixture(scope="module")
def serving(lab: Lab, reference: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = lab.reset(lab.hosts[0].name)
    tiny = tmp_path_factory.mktemp("models") / "tiny"
    subprocess.run([WXRUNTIME, "tiny", tiny], check=True)
    shutil.copytree(tiny, host.root / "srv/models/tiny")
    host.ssh(f"{RUN} {MODEL} {reference}")
    healthy = '[ "$(docker inspect -f {{.State.Health.Status}} ernie)" = healthy ]'
    host.ssh(f"timeout 90 sh -c 'until {healthy}; do sleep 0.5; done'")
    yield host
    lab.reset(host.name)


def test_the_reference_is_a_digest_and_does_not_change(lab: Lab, reference: str) -> None:
    assert reference.startswith(f"{lab.registry.address}/wxruntime@sha256:")
    assert runtime_image(lab.registry.address) == reference


def test_a_healthy_container_answers_its_question(serving: Host) -> None:
    body = {"model": "ernie-tiny", "messages": [{"role": "user", "content": QUESTION}]}
    request = Request(f"http://{serving.address}:8000/v1/chat/completions", json.dumps(body).encode())
    with urlopen(request, timeout=30) as answer:
        assert json.load(answer)["choices"][0]["message"]["content"] == ANSWER


def test_the_server_is_not_root_and_nothing_of_this_machine_is_in_the_image(serving: Host) -> None:
    assert serving.ssh("docker exec ernie id --user").stdout.strip() == "10001"
    left = "cat /etc/pip.conf /etc/apt/sources.list /etc/apt/apt.conf.d/99mmdebstrap"
    assert serving.ssh(f"docker exec ernie {left}", check=False).stdout == ""


def test_stopping_is_graceful(serving: Host) -> None:
    serving.ssh("docker stop ernie")
    assert serving.ssh("docker inspect -f {{.State.ExitCode}} ernie").stdout.strip() == "0"
