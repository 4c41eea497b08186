"""An agent killed while it changes containers: rollback and a second run mend what it left."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.lab.docker.engine import lasting, names, page, play, web
from tests.lab.module_case import ManagedHost
from wxops.lab.host import Host

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
