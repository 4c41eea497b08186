"""`reboot` comes back only when the host has: another boot, the same files, the same run going on."""

from __future__ import annotations

from tests.lab.module_case import ManagedHost
from wxops.lab.host import Host

WITH_REBOOT = """
- file: {path: /srv/before, state: directory}
- reboot: {reboot_timeout: 60, test_command: systemctl is-system-running --wait}
  register: rebooted
- assert:
    that: [rebooted.rebooted, rebooted.elapsed < 60, rebooted.boot_id != rebooted.boot_id_before]
- file: {path: /srv/after, state: directory}
"""


def boot_id(host: Host) -> str:
    return host.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip()


def test_a_run_goes_on_after_a_reboot_and_is_taken_back_whole(host: Host, managed: ManagedHost) -> None:
    before, tree = boot_id(host), managed.tree()

    played = managed.play(WITH_REBOOT)
    assert played.statuses == ["changed", "changed", "ok", "changed"], played.told()
    assert boot_id(host) != before
    assert host.ssh("ls /srv").stdout.split() == ["after", "before"]

    back = managed.rollback()
    assert back.exit_code == 0, back.told()
    assert managed.tree().keys() == tree.keys()


def test_check_mode_reboots_nothing(managed: ManagedHost, shared_host: Host) -> None:
    before = boot_id(shared_host)
    assert managed.play("- reboot:", check=True).statuses == ["changed"]
    assert boot_id(shared_host) == before


def test_a_host_that_does_not_reboot_is_a_failure(managed: ManagedHost, shared_host: Host) -> None:
    before = boot_id(shared_host)
    played = managed.play('- reboot: {reboot_command: "true", reboot_timeout: 3}')
    assert played.statuses == ["failed"]
    assert "did not come back within 3 s" in played.told()
    assert boot_id(shared_host) == before


def test_a_reboot_command_that_fails_says_why(managed: ManagedHost) -> None:
    played = managed.play("- reboot: {reboot_command: ls /no/such/file}")
    assert played.statuses == ["failed"]
    assert "No such file" in played.told()


def test_the_command_is_looked_for_where_the_task_says(managed: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh("mkdir -p /srv/bin; printf '#!/bin/sh\\ntouch /srv/told\\n' > /srv/bin/restart-me")
    shared_host.ssh("chmod 755 /srv/bin/restart-me")
    played = managed.play("- reboot: {reboot_command: restart-me, search_paths: [/srv/bin], reboot_timeout: 2}")
    assert played.statuses == ["failed"]
    assert shared_host.ssh("ls /srv/told && rm -r /srv/told /srv/bin").stdout


def test_the_controller_is_never_rebooted(managed: ManagedHost) -> None:
    played = managed.play("- {reboot: {}, delegate_to: localhost}")
    assert played.statuses == ["failed"]
    assert "the machine that wxops runs on" in played.told()
