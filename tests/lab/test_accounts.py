"""Accounts and cron jobs as the host itself sees them: no hash leaks, other people's changes stay, cron really runs."""

from __future__ import annotations

import json
import time

from tests.lab.module_case import ManagedHost
from wxops.lab.host import Host

HASH = "$6$lab$" + "Zq7" * 28 + "/."
WATCH = """
import glob, os, sys, time
secret = open("/tmp/secret", "rb").read()
end = time.time() + 20
while time.time() < end and not os.path.exists("/tmp/stop"):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            if secret in open(path, "rb").read():
                open("/tmp/leak", "w").close()
        except OSError:
            pass
"""


def test_a_password_hash_is_shown_nowhere(managed: ManagedHost) -> None:
    managed.host.ssh("cat >/tmp/secret && rm -f /tmp/stop /tmp/leak", text=HASH)
    managed.host.ssh("cat >/tmp/watch.py && (setsid python3 /tmp/watch.py >/dev/null 2>&1 &)", text=WATCH)
    tasks = [{"user": {"name": "wxsecret", "password": HASH, "create_home": False}},
             {"user": {"name": "wxsecret", "password": HASH[:-1] + "/", "comment": "again"}}]  # fmt: skip
    check, run = managed.play(tasks, check=True), managed.play(tasks)
    managed.host.ssh("touch /tmp/stop")
    assert run.statuses == check.statuses == ["changed", "changed"], run.told()

    told = json.dumps([event.result for played in (check, run) for event in played.results], default=str)
    assert "Zq7Zq7" not in told
    assert managed.host.ssh("test -e /tmp/leak", check=False).returncode == 1, "seen in the process list"
    assert HASH[:-1] + "/" in managed.host.ssh("getent shadow wxsecret").stdout
    readable = managed.host.ssh("su ops -c 'grep -rl Zq7Zq7 /var/lib/wxops /etc /var/log 2>/dev/null'", check=False)
    assert readable.stdout == ""
    assert managed.rollback(run.run).exit_code == 0


def test_a_rollback_leaves_what_others_did_to_the_same_files(managed: ManagedHost) -> None:
    run = managed.play([{"group": {"name": "wxours"}}, {"user": {"name": "wxours2", "groups": ["docker", "wxours"]}}])
    assert run.exit_code == 0, run.told()
    managed.host.ssh("useradd -M wxtheirs && usermod -aG docker wxtheirs && usermod -aG docker deploy")
    assert managed.rollback(run.run).exit_code == 0
    assert managed.host.ssh("getent group docker").stdout.strip().endswith(":wxtheirs,deploy")
    assert managed.host.ssh("id wxours2", check=False).returncode == 1
    managed.host.ssh("gpasswd -d deploy docker && userdel wxtheirs")


def test_cron_runs_a_job_and_stops_when_it_is_taken_back(managed: ManagedHost) -> None:
    managed.host.ssh("rm -f /tmp/ticked && sleep $((60 - 10#$(date +%S) < 5 ? 6 : 0))")
    run = managed.play([{"cron": {"name": "tick", "job": "touch /tmp/ticked", "user": "ops"}}])
    deadline = time.monotonic() + 75
    while managed.host.ssh("test -e /tmp/ticked", check=False).returncode and time.monotonic() < deadline:
        time.sleep(1)
    assert managed.host.ssh("stat -c %U /tmp/ticked").stdout.strip() == "ops"
    assert managed.rollback(run.run).exit_code == 0
    assert managed.host.ssh("crontab -l -u ops", check=False).returncode == 1


def test_a_rollback_shows_nothing_of_a_users_new_private_key(managed: ManagedHost, shared_host: Host) -> None:
    played = managed.play("- user: {name: keyed, generate_ssh_key: true, ssh_key_type: ed25519}")
    secret = shared_host.ssh("sed -n 2p /home/keyed/.ssh/id_ed25519").stdout.strip()
    back = managed.rollback(played.run)
    assert back.exit_code == 0, back.told()
    assert len(secret) > 60 and secret not in str(back.events)
    assert "may hold a secret" in str(back.events)
