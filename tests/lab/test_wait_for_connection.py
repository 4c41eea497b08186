"""`wait_for_connection` on a host whose sshd is away for a while."""

from __future__ import annotations

from tests.lab.module_case import ManagedHost
from wxops.lab.host import Host


def test_a_run_goes_on_when_the_host_answers(managed: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh(
        "systemctl stop 'ssh*.socket'; systemd-run -q --on-active=5 systemctl start ssh; systemctl stop ssh"
    )
    late = managed.play("- wait_for_connection: {timeout: 1}")
    assert late.statuses == ["failed"]
    assert "timed out waiting for the connection" in late.told()
    assert late.results[0].result["elapsed"] >= 1

    in_time = managed.play(
        """
        - ansible.builtin.wait_for_connection: {timeout: 60, delay: 1, sleep: 1}
          register: waited
        - assert: {that: [waited.elapsed >= 1, not waited.changed]}
        """
    )
    assert in_time.statuses == ["ok", "ok"], in_time.told()


def test_a_check_waits_for_nobody(managed: ManagedHost) -> None:
    assert managed.play("- wait_for_connection: {delay: 600}", check=True).statuses == ["skipped"]
