"""`raw` on a host without Python: it runs there all the same, and can bring Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.module_case import ManagedHost
from wxops.lab.host import Host

AWAY = "for p in /usr/bin/python3*; do mv $p /root/away.${p##*/}; done"
BACK = "for p in /root/away.*; do test -e $p -o -L $p && mv $p /usr/bin/${p#/root/away.}; done; true"


@pytest.fixture
def without_python(managed: ManagedHost, shared_host: Host) -> Iterator[ManagedHost]:
    shared_host.ssh(AWAY)
    yield managed
    shared_host.ssh(BACK)


def test_a_host_without_python_gets_one(without_python: ManagedHost, shared_host: Host) -> None:
    played = without_python.play(
        f"""
        - raw: echo "it's $0"; echo oops >&2
          args: {{executable: /bin/bash}}
          register: said
        - assert:
            that:
              - said.stdout_lines == ["it's /bin/bash"]
              - said.stderr_lines == ['oops']
              - said.rc == 0 and said.changed
        - ansible.builtin.raw: test -e /usr/bin/python3 || {{{{ '{BACK}' }}}}
        - ping:
        """
    )
    assert played.statuses == ["changed", "ok", "changed", "ok"], played.told()


def test_there_a_command_that_fails_is_a_failure(without_python: ManagedHost) -> None:
    played = without_python.play("- raw: echo no; exit 3\n  register: x\n- debug: {}")
    assert played.statuses == ["failed"]
    assert (played.results[0].result["rc"], played.results[0].result["stdout"]) == (3, "no\n")


def test_there_become_takes_rights(without_python: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh("echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops-raw")
    try:
        played = without_python.play(
            "- raw: id -un; whoami\n  register: who\n- assert: {that: \"who.stdout_lines == ['root', 'root']\"}",
            become=True,
            vars={"ansible_user": "ops"},
        )
        assert played.statuses == ["changed", "ok"], played.told()
    finally:
        shared_host.ssh("rm -f /etc/sudoers.d/ops-raw")


def test_every_other_module_says_that_python_is_missing(without_python: ManagedHost) -> None:
    played = without_python.play("- command: id")
    assert played.statuses == ["unreachable"]
    assert "no Python on the host" in played.told()


def test_a_check_runs_nothing(without_python: ManagedHost) -> None:
    assert without_python.play("- raw: id", check=True).statuses == ["skipped"]


def test_with_python_it_is_journaled(managed: ManagedHost, shared_host: Host) -> None:
    played = managed.play("- raw: touch /srv/raw\n  rollback: rm /srv/raw")
    assert played.statuses == ["changed"]
    assert managed.rollback(played.run).exit_code == 0
    assert shared_host.ssh("test -e /srv/raw", check=False).returncode
