"""Docker's SDK over the one link to a host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.module_case import ManagedHost
from wxops.docker.client import TunnelledClient
from wxops.playbook.inventory import Inventory
from wxops.transport.agent import Agent, RunIdentity
from wxops.transport.options import connection_options


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
