"""What a task costs on the wire: counted, so that it cannot grow unnoticed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.module_case import ManagedHost
from wxops.engine.record import past_run
from wxops.lab import Lab
from wxops.lab.host import Host
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import connection_options
from wxops.transport.ssh import PromptSocket

SETUP_BURSTS = 3  # the password-less login's payload, then the first module with its source: agent, CONFIGURE, TASK
BYTES_A_TASK = 400
BYTES_OF_AN_AGENT = 100_000  # with the module `file`, as bytecode; sources take half of that


def traffic(managed: ManagedHost, tasks: list[dict[str, Any]]) -> dict[str, int]:
    played = managed.play(tasks)
    assert played.exit_code == 0, played.told()
    found: dict[str, int] = past_run(managed.folder / "runs", played.run).about["traffic"]
    return found


def directory(name: str) -> dict[str, Any]:
    return {"file": {"path": f"/srv/cost/{name}", "state": "directory"}}


@pytest.fixture(autouse=True)
def tidy(managed: ManagedHost) -> Any:
    yield
    managed.play([{"file": {"path": "/srv/cost", "state": "absent"}}])


def test_a_task_costs_one_round_trip(managed: ManagedHost) -> None:
    one = traffic(managed, [directory("first")])
    many = traffic(managed, [directory(str(number)) for number in range(11)])
    assert one["bursts"] <= SETUP_BURSTS
    assert many["bursts"] - one["bursts"] == 10
    assert (many["sent"] - one["sent"]) / 10 < BYTES_A_TASK


def test_an_agent_brings_only_what_its_task_needs(managed: ManagedHost) -> None:
    assert traffic(managed, [directory("first")])["sent"] < BYTES_OF_AN_AGENT


def test_a_loop_costs_one_round_trip_whatever_its_length(managed: ManagedHost) -> None:
    one = traffic(managed, [directory("first")])
    loop = traffic(managed, [{**directory("{{ item }}"), "loop": "{{ range(50) | list }}"}])
    assert loop["bursts"] == one["bursts"]


def test_a_link_on_which_nothing_happens_wakes_nobody(lab: Lab, shared_host: Host, monkeypatch: Any) -> None:
    """With 500 hosts paramiko's ten looks a second at each took a quarter of a core, for nothing."""
    looks: list[int] = []
    receive = PromptSocket.recv
    reach = {"ansible_host": shared_host.address, "ansible_user": "root", "ansible_ssh_private_key_file": str(lab.key),
             "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.known_hosts}"}  # fmt: skip
    agent = Agent(connection_options(shared_host.name, reach), None, RunIdentity("r", {"run": "r"}, check=True))
    try:
        monkeypatch.setattr(PromptSocket, "recv", lambda *given: looks.append(1) or receive(*given))
        time.sleep(2)
        assert len(looks) <= 1
    finally:
        agent.close()


def test_content_that_the_host_has_is_not_sent_again(managed: ManagedHost) -> None:
    (managed.folder / "files" / "big").write_bytes(b"0123456789abcdef" * 65536)
    task = {"copy": {"src": "big", "dest": "/srv/big-copy"}}
    first, second = traffic(managed, [task]), traffic(managed, [task])
    assert first["sent"] - second["sent"] >= 1 << 20
    managed.rollback()
