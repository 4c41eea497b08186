"""`synchronize` with real rsync over the run's own SSH settings: checked, repeated, and taken back whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.module_case import ManagedHost, keep_promises
from wxops.lab import Lab
from wxops.lab.host import Host


@pytest.fixture
def source(managed: ManagedHost, shared_host: Host) -> Path:
    """A tree on the controller, and rsync on the host."""
    shared_host.ssh("command -v rsync || { apt-get -qq update && apt-get -qq install -y rsync; }")
    top = managed.folder / "files" / "site"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "a file").write_text("one\n")
    (top / "deep" / "er" / "中文").write_text("two\n")
    (top / "large").write_bytes(os.urandom(700_000))
    (top / "deep" / "link").symlink_to("../a file")
    (top / "a file").chmod(0o640)
    os.utime(top / "a file", (1_600_000_000, 1_600_000_000))
    return top


GIVEN = """
- shell: |
    rm -rf /srv/site; mkdir -p /srv/site/deep /srv/site/old/er; echo theirs > /srv/site/old/er/file
    echo before > '/srv/site/a file'; chmod 600 '/srv/site/a file'; ln -s nowhere /srv/site/deep/link
    chown ops /srv/site/old
  changed_when: false
"""


def test_a_tree_is_brought_into_the_sources_state(source: Path, managed: ManagedHost) -> None:
    keep_promises(
        managed,
        {
            "given": GIVEN,
            "tasks": """
- ansible.posix.synchronize: {src: site/, dest: /srv/site, delete: true, rsync_opts: [--chown=ops:ops]}
- synchronize: {src: site/a file, dest: /srv/single}
- synchronize: {src: site, dest: /srv/new/, archive: false, recursive: true, times: true}
""",
            "same_diff": False,  # a check says what rsync says
            "leaves": [
                "test \"$(cat '/srv/site/a file')\" = one",
                "test \"$(stat -c '%a %U %Y' '/srv/site/a file')\" = '640 ops 1600000000'",
                'test "$(cat /srv/site/deep/er/中文)" = two && test "$(stat -c %s /srv/site/large)" = 700000',
                "test \"$(readlink /srv/site/deep/link)\" = '../a file' && ! test -e /srv/site/old",
                "cmp '/srv/site/a file' /srv/single && test -f /srv/new/site/deep/er/中文",
                "! ls /var/lib/wxops/arriving/*",
            ],
        },
    )


def test_become_runs_rsync_under_sudo(source: Path, managed: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh("echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops-rsync")
    try:
        played = managed.play(
            "- synchronize: {src: site/, dest: /srv/roots, owner: false, group: false}",
            become=True,
            vars={"ansible_user": "ops"},
        )
        assert played.statuses == ["changed"], played.told()
        assert shared_host.ssh("stat -c %U /srv/roots/large").stdout.strip() == "root"
        assert managed.rollback(played.run).exit_code == 0
        assert shared_host.ssh("test -e /srv/roots", check=False).returncode
    finally:
        shared_host.ssh("rm -f /etc/sudoers.d/ops-rsync")


def test_a_jump_host_is_passed(source: Path, managed: ManagedHost, lab: Lab, shared_host: Host) -> None:
    other = lab.hosts[1]
    settings = f"-i {other.key} -o UserKnownHostsFile={other.known_hosts} -J root@{other.address}"
    task = "- synchronize: {src: site/, dest: /srv/jumped with blanks}"
    played = managed.play(task, vars={"ansible_ssh_common_args": settings})
    assert played.statuses == ["changed"], played.told()
    assert shared_host.ssh("cat '/srv/jumped with blanks/a file'").stdout == "one\n"
    assert managed.rollback(played.run).exit_code == 0


def test_a_tree_is_pulled(source: Path, managed: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh("mkdir -p /srv/logs; echo line > /srv/logs/one")
    task = f"- synchronize: {{mode: pull, src: /srv/logs/, dest: {managed.folder}/logs}}"
    assert managed.play(task, check=True).statuses == ["changed"]
    assert not (managed.folder / "logs").exists()
    assert managed.play(task).statuses == ["changed"]
    assert (managed.folder / "logs" / "one").read_text() == "line\n"
    assert managed.play(task).statuses == ["ok"]
    shared_host.ssh("rm -r /srv/logs")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("- {synchronize: {src: site/, dest: /srv/x}, delegate_to: localhost}", "between two hosts"),
        ("- synchronize: {src: nothing, dest: /srv/x}", "there is no nothing"),
        ("- synchronize: {src: site/, dest: /srv/x, rsync_opts: [--no-such-option]}", "unknown option"),
    ],
)
def test_what_cannot_be_done_is_said(source: Path, managed: ManagedHost, task: str, said: str) -> None:
    played = managed.play(task)
    assert played.statuses == ["failed"]
    assert said in played.told()
