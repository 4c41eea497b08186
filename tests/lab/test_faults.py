"""What goes wrong at 3 a.m.: dead hosts, cut links, killed controllers, full disks, wrong passwords, others at work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.module_case import ManagedHost, differences
from wxops.lab import OPS_PASSWORD, Lab
from wxops.lab.host import Host

WXOPS = [str(Path(sys.executable).parent / "wxops")]


@pytest.fixture
def project(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with the lab's inventory; commands run in it."""
    (tmp_path / "wxops.toml").write_text(f'inventory = "{lab.inventory}"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, tasks: Any, **keywords: Any) -> Path:
    """A playbook of one play."""
    path = project / "play.yml"
    listed = yaml.safe_load(tasks) if isinstance(tasks, str) else tasks
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, **keywords, "tasks": listed}]))
    return path


def wxops(*words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WXOPS, *words], capture_output=True, text=True, input=input, timeout=120, check=False)


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*WXOPS, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture
def mine(shared_host: Host) -> Iterator[str]:
    """A folder on the host, gone again afterwards."""
    shared_host.ssh("mkdir -p /srv/fault")
    yield "/srv/fault"
    shared_host.ssh("rm -rf /srv/fault")


def test_a_dead_host_does_not_hold_up_the_others(project: Path, lab: Lab) -> None:
    first = lab.hosts[0]
    dead = str(first.address).rsplit(".", 1)[0] + ".240"
    inventory = yaml.safe_load(lab.inventory.read_text())
    inventory["all"]["children"]["gpu"]["hosts"]["dead"] = {"ansible_host": dead, "ansible_timeout": 2}
    (project / "hosts.yml").write_text(yaml.safe_dump(inventory))
    done = wxops("run", str(write(project, "- name: look\n  command: hostname\n  changed_when: false")), "-i",
                 "hosts.yml", "--output", "jsonl")  # fmt: skip
    assert done.returncode == 4
    events = [json.loads(line) for line in done.stdout.splitlines()]
    results = {event["host"]: event for event in events if event["event"] == "task"}
    assert results["dead"]["status"] == "unreachable" and results["dead"]["task"] == "look"
    assert dead in results["dead"]["result"]["msg"] and "is it up" in results["dead"]["result"]["msg"]
    assert results[first.name]["status"] == "ok"
    assert events[-1]["hosts"]["dead"]["unreachable"] == 1


def test_a_cut_link_names_host_and_task_and_the_host_is_free_again(project: Path, lab: Lab, mine: str) -> None:
    host = lab.hosts[0]
    tasks = f"- name: before\n  file: {{path: {mine}/a, state: touch}}\n- name: the long one\n  command: sleep 20"
    command = ["run", str(write(project, tasks)), "-l", host.name, "-e", "wxops_keepalive=0.5"]
    running = start(*command, "--output", "jsonl")
    wait_until(lambda: (host.root / mine[1:] / "a").exists())
    lab.link(host.name, up=False)
    try:
        output, _ = running.communicate(timeout=30)
    finally:
        lab.link(host.name, up=True)
    assert running.returncode == 4
    lost = next(json.loads(line) for line in output.splitlines() if '"status": "unreachable"' in line)
    assert lost["host"] == host.name and lost["task"] == "the long one" and "no sign of life" in lost["result"]["msg"]
    host.wait()
    time.sleep(3)  # the agent gives its controller up after four silent intervals, once the command ended or not
    host.ssh("pkill -x sleep || true")
    wait_until(lambda: wxops("rollback", "-l", host.name).returncode == 0, 30)
    assert not (host.root / mine[1:] / "a").exists()


def test_a_link_that_is_cut_while_much_is_sent_ends_the_run(project: Path, lab: Lab, mine: str) -> None:
    host = lab.hosts[0]
    with (project / "large").open("wb") as file:
        file.truncate(512 << 20)
    path = write(project, f"- name: the upload\n  copy: {{src: large, dest: {mine}/large}}")
    running = start("run", str(path), "-l", host.name, "-e", "wxops_keepalive=0.5", "--output", "jsonl")
    wait_until(lambda: any((host.root / mine[1:]).iterdir()), 40)  # it is hashed before
    lab.link(host.name, up=False)
    try:
        output, _ = running.communicate(timeout=20)
    finally:
        lab.link(host.name, up=True)
    assert running.returncode == 4
    assert "no sign of life" in next(line for line in output.splitlines() if '"status": "unreachable"' in line)
    host.wait()
    assert not (host.root / mine[1:] / "large").exists()


def test_a_killed_controller_leaves_a_run_that_can_be_taken_back(project: Path, lab: Lab, mine: str) -> None:
    host = lab.hosts[0]
    path = project / "play.yml"
    path.write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n  - file: {{path: {mine}/a, state: directory}}\n"
                    "  - pause: {seconds: 60}\n")  # fmt: skip
    running = start("run", str(path), "-l", host.name)
    wait_until(lambda: (host.root / mine[1:] / "a").exists())
    running.kill()
    running.wait()
    wait_until(lambda: wxops("rollback").returncode == 0)
    assert not (host.root / mine[1:] / "a").exists()
    listed = wxops("runs", "list").stdout
    assert "never ended" in listed or "taken back" in listed


def test_the_second_controller_is_told_who_holds_the_host(project: Path, lab: Lab) -> None:
    host = lab.hosts[0]
    host.ssh("mkdir -p /var/lib/wxops && : > /var/lib/wxops/lock")
    path = write(project, "- command: hostname\n- pause: {seconds: 9}")  # the second waits for 3 of them
    first = start("run", str(path), "-l", host.name)
    wait_until(lambda: "run" in host.ssh("cat /var/lib/wxops/lock").stdout)
    second = wxops("run", str(path), "-l", host.name)
    assert second.returncode == 4
    assert re.search(r"another run holds this host: \d{8}-\d{6}-\w+ of \w+ on", second.stdout)
    assert first.wait(30) == 0


def test_ctrl_c_stops_cleanly(project: Path, lab: Lab, mine: str) -> None:
    host = lab.hosts[0]
    directories = [{"file": {"path": f"{mine}/{name}", "state": "directory"}} for name in "ab"]
    path = write(project, [directories[0], {"command": "sleep 61"}, directories[1]])
    running = start("run", str(path), "-l", host.name)
    wait_until(lambda: "sleep 61" in host.ssh("ps ax -o args").stdout)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "interrupted" in output and "PLAY RECAP" in output and "Traceback" not in output
    assert not (host.root / mine[1:] / "b").exists()
    wait_until(lambda: "sleep 61" not in host.ssh("ps ax -o args").stdout)
    assert wxops("rollback").returncode == 0
    assert not (host.root / mine[1:] / "a").exists()


def as_ops(project: Path, lab: Lab, password: str) -> list[str]:
    """Flags that log in as a user whose sudo asks for a password."""
    (project / "password").write_text(password + "\n")
    return ["-l", lab.hosts[0].name, "-e", "ansible_user=ops", "-b", "--become-password-file", "password"]


def test_a_wrong_sudo_password_is_tried_once(project: Path, lab: Lab) -> None:
    host = lab.hosts[0]
    path = write(project, "- command: id -un\n- command: id -un")
    count = "journalctl -q _COMM=sudo | grep -c 'authentication failure' || true"
    before = int(host.ssh(count).stdout)
    done = wxops("run", str(path), *as_ops(project, lab, "wrong"))
    assert done.returncode == 2
    assert "sudo refuses the password of 'ops'" in done.stdout and "--ask-become-pass" in done.stdout
    time.sleep(0.5)
    assert int(host.ssh(count).stdout) - before == 1


def test_sudo_with_a_password_works_and_shows_it_to_nobody(project: Path, lab: Lab) -> None:
    path = write(project, "- command: id -un\n  register: me\n- debug: {var: me.stdout}\n- command: sleep 0.7")
    seen = []
    running = start("run", str(path), *as_ops(project, lab, OPS_PASSWORD))
    while running.poll() is None:
        for entry in Path("/proc").iterdir():
            for name in ("cmdline", "environ") if entry.name.isdigit() else ():
                try:
                    if OPS_PASSWORD.encode() in (entry / name).read_bytes():
                        seen.append((entry.name, name))
                except OSError:
                    continue
    assert running.returncode == 0
    assert '"me.stdout": "root"' in (running.stdout.read() if running.stdout else "")
    assert seen == []


def test_a_login_by_password(project: Path, lab: Lab) -> None:
    (project / "login").write_text(OPS_PASSWORD)
    inventory = yaml.safe_load(lab.inventory.read_text())
    for key in ("ansible_ssh_private_key_file", "ansible_user"):
        del inventory["all"]["vars"][key]
    (project / "hosts.yml").write_text(yaml.safe_dump(inventory))
    done = wxops("run", str(write(project, "- command: id -un\n  changed_when: false")), "-i", "hosts.yml", "-u", "ops",
                 "-l", lab.hosts[0].name, "--connection-password-file", "login", "-v")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"stdout": "ops"' in done.stdout


def test_an_unknown_host_key_is_refused_and_accept_new_records_it(project: Path, lab: Lab) -> None:
    host = lab.hosts[0]
    known = project / "known_hosts"
    text = lab.inventory.read_text()
    text = re.sub(r"UserKnownHostsFile=[^\s\"']+", f"UserKnownHostsFile={known}", text)
    (project / "hosts.yml").write_text(text)
    flags = ["-i", "hosts.yml", "-l", host.name]
    path = str(write(project, "- command: hostname\n  changed_when: false"))

    refused = wxops("run", path, *flags)
    assert refused.returncode == 4
    assert "is not known" in refused.stdout and "SHA256:" in refused.stdout and "--accept-new" in refused.stdout
    assert not known.exists()
    assert wxops("run", path, *flags, "--accept-new").returncode == 0
    assert wxops("run", path, *flags).returncode == 0

    kind, blob = known.read_text().split()[1:3]
    other = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(project / "other")], check=True)
    assert other.returncode == 0
    changed = (project / "other.pub").read_text().split()
    known.write_text(known.read_text().replace(f"{kind} {blob}", " ".join(changed[:2])))
    stopped = wxops("run", path, *flags, "--accept-new")
    assert stopped.returncode == 4 and "CHANGED" in stopped.stdout and "ssh-keygen -R" in stopped.stdout


def test_a_jump_host_is_passed(project: Path, lab: Lab) -> None:
    first, second = lab.hosts[:2]
    (project / "ssh_config").write_text(
        f"Host {second.address}\n  ProxyJump root@{first.address}\nHost *\n"
        f"  IdentityFile {lab.key}\n  UserKnownHostsFile {lab.known_hosts}\n"
    )
    hosts = {second.name: {
        "ansible_host": str(second.address), "ansible_user": "root",
        "ansible_ssh_common_args": f"-F {project / 'ssh_config'}"}}  # fmt: skip
    (project / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    done = wxops(
        "run", str(write(project, "- shell: echo $SSH_CLIENT\n  changed_when: false")), "-i", "hosts.yml", "-v"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(first.address) in done.stdout, "the login came from the jump host"


def test_what_a_login_prints_is_skipped(project: Path, lab: Lab, shared_host: Host) -> None:
    shared_host.ssh("cp /root/.bashrc /root/.bashrc.was; sed -i '1i echo welcome to this machine' /root/.bashrc")
    try:
        done = wxops("run", str(write(project, "- command: hostname\n  changed_when: false")), "-l", shared_host.name)
    finally:
        shared_host.ssh("mv /root/.bashrc.was /root/.bashrc")
    assert done.returncode == 0, done.stdout


def test_a_host_without_python_says_so(project: Path, lab: Lab) -> None:
    done = wxops("run", str(write(project, "- command: hostname")), "-l", lab.hosts[0].name, "-e",
                 "ansible_python_interpreter=/opt/nothing/python3")  # fmt: skip
    assert done.returncode == 4
    assert "there is no Python on the host" in done.stdout and "/opt/nothing/python3" in done.stdout


@pytest.mark.parametrize("place", ["/srv/small", "/var/lib/wxops"], ids=["target", "journal"])
def test_a_full_disk_changes_nothing_and_says_so(place: str, managed: ManagedHost) -> None:
    host = managed.host
    host.ssh(f"mkdir -p /srv/small {place} && mount -t tmpfs -o size=64k tmpfs {place}")
    host.ssh(f"dd if=/dev/zero of={place}/fill bs=1k", check=False)
    try:
        played = managed.play([{"copy": {"dest": "/srv/small/file", "content": "x" * 100_000}}])
        assert played.exit_code == 2
        message = played.results[0].result["msg"]
        assert "No space left" in message, message
        assert host.ssh("ls -A /srv/small").stdout.split() in ([], ["fill"])
    finally:
        host.ssh(f"umount {place}; rm -rf /srv/small")


def test_a_read_only_file_system_is_named(managed: ManagedHost) -> None:
    managed.host.ssh("mkdir -p /srv/ro && mount -t tmpfs -o ro tmpfs /srv/ro")
    try:
        played = managed.play([{"copy": {"dest": "/srv/ro/file", "content": "x"}}])
        assert played.exit_code == 2
        assert "Read-only file system" in played.results[0].result["msg"]
    finally:
        managed.host.ssh("umount /srv/ro; rmdir /srv/ro")


def test_a_conflict_is_found_before_anything_is_taken_back(managed: ManagedHost) -> None:
    played = managed.play([{"copy": {"dest": "/srv/conflict", "content": "ours\n"}},
                           {"copy": {"dest": "/srv/other", "content": "ours\n"}}])  # fmt: skip
    managed.host.ssh("echo theirs > /srv/conflict")
    refused = managed.rollback(played.run)
    assert refused.exit_code == 2
    assert "/srv/conflict" in refused.results[0].result["msg"] and "--force" in refused.results[0].result["msg"]
    assert managed.host.ssh("cat /srv/conflict /srv/other").stdout == "theirs\nours\n"
    assert managed.rollback(played.run, force=True).exit_code == 0
    assert managed.host.ssh("ls /srv/conflict /srv/other", check=False).returncode != 0


def test_a_rollback_can_be_taken_back(managed: ManagedHost) -> None:
    before = managed.tree()
    played = managed.play([{"copy": {"dest": "/srv/twice", "content": "one\n"}}])
    after = managed.tree()
    back = managed.rollback(played.run)
    assert differences(before, managed.tree()) == []
    assert managed.rollback(back.run).exit_code == 0
    assert differences(after, managed.tree()) == []
    managed.host.ssh("rm /srv/twice")


def test_a_command_runs_its_inverse_or_is_reported(managed: ManagedHost) -> None:
    played = managed.play([{"name": "with", "command": "touch /srv/with", "rollback": "rm /srv/with"},
                           {"name": "without", "command": "touch /srv/without"}])  # fmt: skip
    plan = managed.rollback(played.run, check=True)
    notes = [event.text for event in plan.events if hasattr(event, "text")]
    assert any("without" in note and "cannot be taken back" in note for note in notes)
    assert managed.rollback(played.run).exit_code == 0
    assert managed.host.ssh("ls /srv/with", check=False).returncode != 0
    managed.host.ssh("rm /srv/without")


def test_secrets_show_nowhere(project: Path, lab: Lab, shared_host: Host) -> None:
    secret, hidden = "tr0ub4dor-and-3", "no-log-5ecret"
    (project / "vault-password").write_text("open sesame")
    from wxops.playbook.vault_passwords import vault_keys

    keys = vault_keys(password_files=[str(project / "vault-password")])
    (project / "group_vars").mkdir()
    (project / "group_vars" / "all.yml").write_text(keys.encrypt(f"token: {secret}\n"))
    path = write(
        project,
        f"""
- copy: {{dest: /srv/secret, content: "token={{{{ token }}}}\\n", mode: "0600"}}
- shell: "echo {{{{ token }}}}; sleep 0.3"
  changed_when: false
- copy: {{dest: /srv/hidden, content: "{hidden}\\n"}}
  no_log: true
- shell: "echo {hidden}; false"
  no_log: true
  ignore_errors: true
- debug: {{var: token}}
""",
    )
    flags = ["-l", shared_host.name, "--vault-password-file", "vault-password", "-vvv", "--diff"]
    for output in ("plain", "jsonl"):
        done = wxops("run", str(path), *flags, "--output", output)
        assert done.returncode == 0, done.stdout
        for text in (done.stdout, done.stderr):
            assert secret not in text and hidden not in text
    records = [file.read_text() for file in (project / ".wxops").rglob("*") if file.is_file()]
    assert records and not any(secret in text or hidden in text for text in records)
    assert wxops("runs", "show", "2").stdout.count(secret) == 0
    assert shared_host.ssh("su ops -c 'ls /var/lib/wxops' 2>&1 || true").stdout.count("Permission denied") == 1
    for _ in range(2):  # the failed command counts as a change in the second run too
        for check in (["--check"], []):
            back = wxops("rollback", "--diff", *check)
            assert back.returncode == 0 and secret not in back.stdout and hidden not in back.stdout
    assert not os.access(shared_host.root / "srv/secret", os.F_OK)


def test_another_controllers_run_is_taken_back_from_what_the_hosts_know(
    project: Path, lab: Lab, mine: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = lab.hosts[0]
    done = wxops("run", str(write(project, f"- file: {{path: {mine}/a, state: directory}}")), "-l", host.name,
                 "--output", "jsonl")  # fmt: skip
    run = json.loads(done.stdout.splitlines()[-1])["run"]
    monkeypatch.chdir(tmp_path_factory.mktemp("another controller"))
    unknown = wxops("rollback", "20200101-000000-abcd", "-i", str(lab.inventory))
    assert unknown.returncode == 2 and "no host knows a run" in unknown.stderr
    assert wxops("rollback", run, "-i", str(lab.inventory)).returncode == 0
    assert not (host.root / mine[1:] / "a").exists()


def test_a_directory_in_which_others_put_files_stays(managed: ManagedHost) -> None:
    played = managed.play([{"file": {"path": "/srv/grown/sub", "state": "directory"}},
                           {"copy": {"dest": "/srv/grown/ours", "content": "ours"}}])  # fmt: skip
    managed.host.ssh("echo precious > /srv/grown/theirs")
    back = managed.rollback(played.run)
    assert back.exit_code == 0, back.told()
    assert any("/srv/grown stays" in getattr(event, "text", "") for event in back.events)
    assert managed.host.ssh("cd /srv/grown && ls && cat theirs").stdout == "theirs\nprecious\n"
    managed.host.ssh("rm -r /srv/grown")


def test_a_run_whose_rollback_was_taken_back_can_be_taken_back_again(managed: ManagedHost) -> None:
    before = managed.tree()
    played = managed.play([{"copy": {"dest": "/srv/thrice", "content": "one\n"}}])
    back = managed.rollback(played.run)
    assert managed.rollback(back.run).exit_code == 0
    assert managed.rollback(played.run).exit_code == 0
    assert differences(before, managed.tree()) == []
