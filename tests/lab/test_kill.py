"""The agent is killed at random instants: a rollback then restores the host, and a rerun converges."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml

from tests.lab.module_case import ManagedHost, differences
from wxops.transport.bootstrap import MARK

KILLS = int(os.environ.get("WXOPS_KILLS", "12"))  # `make soak` sets 120
LONGEST_RUN_S = 0.8

TASKS = yaml.safe_load("""
- file: {path: "/srv/kill/{{ item }}", state: directory, mode: "0750"}
  loop: [a, b, c]
- copy: {dest: "/srv/kill/a/{{ item }}", content: "{{ 'line ' * 2000 }}{{ item }}\\n", mode: "0640", group: ops}
  loop: "{{ range(15) | list }}"
- file: {path: /srv/kill-old, state: absent}
- lineinfile: {path: /etc/ssh/sshd_config, regexp: "^#?{{ item.key }} ", line: "{{ item.key }} {{ item.value }}"}
  loop: [{key: MaxAuthTries, value: 4}, {key: LoginGraceTime, value: 30}]
- blockinfile: {path: /etc/motd, block: "Managed", create: true}
- file: {src: /srv/kill/a, dest: /srv/kill-link, state: link}
- group: {name: killers, system: true}
- user: {name: "{{ item }}", group: killers, create_home: true, password: "!"}
  loop: [kill1, kill2]
- cron: {name: "kill {{ item }}", minute: "{{ item }}", job: /usr/bin/true}
  loop: [5, 6]
- copy: {dest: /etc/systemd/system/kill.service, content: "[Service]\\nExecStart=/bin/sleep 1d\\n"}
- systemd_service: {name: kill.service, state: started, daemon_reload: true}
- file: {path: /srv/kill/a, state: directory, owner: ops, recurse: true}
""")

PREPARE = """
- shell: mkdir -p /srv/kill-old/deep && seq 20000 > /srv/kill-old/deep/numbers && chown -R ops /srv/kill-old
  changed_when: false
"""


def agent_pid(root: Path) -> int | None:
    """The process id, on this machine, of the agent that runs in a lab host."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            is_agent = b"-IS" in words and MARK.encode() in words[-2]
            if is_agent and os.path.samefile(entry / "root", root):
                return int(entry.name)
        except OSError:
            continue
    return None


def killer(root: Path, delay: float, killed: threading.Event) -> None:
    """Wait for an agent, then for `delay` seconds, and kill it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pid = agent_pid(root)
        if pid is not None:
            time.sleep(delay)
            try:
                os.kill(pid, signal.SIGKILL)
                killed.set()
            except ProcessLookupError:
                pass  # the run was quicker
            return
        time.sleep(0.005)


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_can_be_taken_back_and_run_again(seed: int, managed: ManagedHost) -> None:
    managed.play(PREPARE)
    before = managed.tree()
    killed = threading.Event()
    delay = random.Random(seed).uniform(0, LONGEST_RUN_S)
    thread = threading.Thread(target=killer, args=(managed.host.root, delay, killed))
    thread.start()
    first = managed.play(TASKS)
    thread.join()
    if killed.is_set() and first.exit_code != 0:
        assert first.exit_code == 4, first.told()
        lost = first.results[-1]
        assert lost.status == "unreachable" and lost.host == managed.host.name and lost.task

    back = managed.rollback(first.run)
    assert back.exit_code == 0, back.told()
    assert differences(before, managed.tree()) == [], f"after a kill at {delay:.3f} s"

    again = managed.play(TASKS)
    assert again.exit_code == 0, again.told()
    assert managed.play(TASKS).statuses.count("changed") == 0, "a rerun converges"
    assert managed.rollback(again.run).exit_code == 0
    assert differences(before, managed.tree()) == []
