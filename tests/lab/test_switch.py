"""A deployed container goes over to another precision while clients stream, and the next deployment finds it so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import yaml
from wxruntime.unix_http import ask as ask_admin

from tests.lab.module_case import ManagedHost
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.lab.image import runtime_image

PROVISION = Path(__file__).parents[2] / "playbooks" / "provision.yml"
WXRUNTIME = Path(sys.executable).with_name("wxruntime")
QUESTION = "你是谁？"
CLIENTS = 2


@pytest.fixture
def settings(lab: Lab, managed: ManagedHost, tmp_path: Path) -> dict[str, Any]:
    """What an operator has in group_vars: a profile of two precisions, and a model."""
    tiny = tmp_path / "tiny"
    subprocess.run([WXRUNTIME, "tiny", tiny], check=True, capture_output=True)
    profile = {
        "engine": "transformers", "image": runtime_image(lab.registry.address), "precision": ["fp32", "bf16"],
        "served_names": ["ernie"], "max_model_len": 256, "max_num_seqs": 4, "environment": {"OMP_NUM_THREADS": "1"},
    }  # fmt: skip
    path = tmp_path / "files" / "ernie.yaml"
    path.write_text(yaml.safe_dump(profile))
    return {"runtime_profile": str(path), "runtime_model_src": str(tiny), "runtime_bind": "0.0.0.0"}


@pytest.fixture
def sockets(host: Host, tmp_path: Path) -> Iterator[Path]:
    """The host's Docker, through SSH, as an operator reaches it from the controller."""
    path = tmp_path / "docker.sock"
    ssh = subprocess.Popen([*host.ssh_argv(), "-N", "-L", f"{path}:/var/run/docker.sock"])
    while not path.exists():
        assert ssh.poll() is None
        time.sleep(0.1)
    yield path
    ssh.terminate()
    ssh.wait()


@pytest.fixture
def gateway(host: Host, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A gateway on this machine, before the host's engine."""
    socket, log = tmp_path / "gateway.sock", tmp_path / "gateway.log"
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({
        "listen": {"port": 0, "admin": {"socket": str(socket)}},
        "clients": [{"name": "here", "networks": ["127.0.0.1/32"]}],
        "models": [{"name": "ernie", "replicas": [{"url": f"http://{host.address}:8000"}]}],
    }))  # fmt: skip
    with log.open("wb") as stderr:
        process = subprocess.Popen([WXRUNTIME, "gateway", "--config", path], stderr=stderr)
    while not (told := [line for line in log.read_text().splitlines() if '"listening"' in line]) or not socket.exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    yield json.loads(told[0])["address"], socket
    process.terminate()
    process.wait()


class Clients:
    """Threads that stream one answer after the other, and keep what came of each."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.whole: list[str] = []
        self.broken: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for each in self._threads:
            each.start()

    def more(self) -> None:
        """Wait until each has had about two more answers."""
        wanted = len(self.whole) + 2 * CLIENTS
        while len(self.whole) < wanted and not self.broken:
            time.sleep(0.1)
        assert self.broken == []

    def stop(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def _ask_on(self) -> None:
        body = {"model": "ernie", "stream": True, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
        while not self._over.wait(0.05):
            try:
                asked = Request(f"{self._url}/v1/chat/completions", json.dumps(body).encode())
                with build_opener(ProxyHandler({})).open(asked, timeout=120) as answer:
                    text = answer.read().decode()
            except OSError as error:
                self.broken.append(str(error))
                continue
            fine = text.endswith("data: [DONE]\n\n") and '"error"' not in text
            (self.whole if fine else self.broken).append(text)


def containers(host: Host) -> list[str]:
    return sorted(host.ssh("docker ps --all --format '{{.Names}}'").stdout.split())


def change(profile: Path, **keys: Any) -> None:
    profile.write_text(yaml.safe_dump({**yaml.safe_load(profile.read_text()), **keys}))


def test_a_deployed_engine_goes_over_while_clients_stream_and_the_next_deployment_finds_it(
    host: Host, managed: ManagedHost, settings: dict[str, Any], gateway: tuple[str, Path], tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    first = managed.run(PROVISION, extra_vars=settings)
    assert first.exit_code == 0, first.told()
    docker: Path = request.getfixturevalue("sockets")
    before = json.loads(host.ssh("docker inspect ernie").stdout)[0]
    url, socket = gateway
    available = host.ssh("awk '/MemAvailable/ {print $2 * 1024}' /proc/meminfo").stdout
    facts, profile = tmp_path / "facts.json", Path(settings["runtime_profile"])
    facts.write_text(json.dumps({"host": "gpu1", "system": {"memory_available": int(float(available))}}))
    command = [
        WXRUNTIME, "switch", profile, "--to", "bf16", "--gateway", socket, "--docker", docker, "--container", "ernie",
        "--address", host.address, "--model", settings["runtime_model_src"], "--host", facts,
    ]  # fmt: skip
    while ask_admin(socket, "GET", "/admin/replicas").body["models"][0]["replicas"][0]["state"] != "up":
        time.sleep(0.2)  # its breaker opened while there was no engine yet
    clients = Clients(url)
    try:
        clients.more()
        host.ssh("docker volume create --label io.wxops.host=desk wxops-switch")
        elsewhere = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert elsewhere.returncode == 1 and "is under way, from desk" in elsewhere.stderr
        assert containers(host) == ["ernie"]
        host.ssh("docker volume rm wxops-switch")

        change(profile, checkpoints={"bf16": "/models/none"})
        failed = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert failed.returncode == 1 and "ernie-bf16-1 was taken away. the others serve on" in failed.stderr
        assert "it ends again and again: Error: /models/none is not a directory" in failed.stderr
        assert containers(host) == ["ernie"]
        clients.more()

        change(profile, checkpoints={})
        killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith("drain ernie "):
                break
        killed.send_signal(signal.SIGSTOP)
        second = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert second.returncode == 1 and "another switch of containers" in second.stderr
        killed.kill()
        killed.wait()
        assert containers(host) == ["ernie", "ernie-bf16-1"]
        clients.more()

        switched = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert switched.returncode == 0, switched.stdout + switched.stderr
        assert "start ernie-bf16" not in switched.stdout, "the one that was begun is finished"
        clients.more()
    finally:
        clients.stop()
    assert clients.broken == []

    assert containers(host) == ["ernie"] and "wxops-switch" not in host.ssh("docker volume ls").stdout
    after = json.loads(host.ssh("docker inspect ernie").stdout)[0]
    assert after["Id"] != before["Id"]
    runs = after["Config"]["Cmd"]
    assert runs[runs.index("--dtype") + 1] == "bfloat16"
    ports = {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}]}
    assert after["HostConfig"] == {**before["HostConfig"], "PortBindings": ports}
    for name in ("Image", "User", "Healthcheck", "StopTimeout", "Env"):
        assert after["Config"][name] == before["Config"][name]

    change(profile, precision="bf16")
    again = managed.run(PROVISION, extra_vars={**settings, "runtime_port": 8001})
    assert again.exit_code == 0, again.told()
    assert "changed" not in again.statuses, again.told()
