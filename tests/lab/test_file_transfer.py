"""Modules that bring files from the controller, on a real host: checked, right, idempotent, taken back."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.module_case import ManagedHost, keep_promises

LARGE = 3_000_000


@pytest.fixture
def files(managed: ManagedHost) -> Path:
    """What the playbook's files/ and templates/ hold."""
    files = managed.folder / "files"
    (files / "tree/sub/empty").mkdir(parents=True)
    (files / "tree/a").write_text("a\n")
    (files / "tree/a").chmod(0o600)
    (files / "tree/sub/large").write_bytes(os.urandom(LARGE))
    (files / "tree/link").symlink_to("a")
    (files / "binary").write_bytes(bytes(range(256)) * 20)
    (files / "script.sh").write_text('#!/bin/sh\necho "$# $1 $2" > "$OUT"; cat "$0" | wc -c; echo err >&2\n')
    (managed.folder / "templates/t.j2").write_text(
        "{% if item %}\nhost {{ inventory_hostname }} {{ item }}\n{% endif %}\n"
    )
    subprocess.run(["tar", "-C", files, "-czf", files / "tree.tgz", "tree"], check=True)
    return files


CASES: dict[str, dict[str, Any]] = {
    "a text, a mapping, a binary file": {
        "tasks": """
            - copy: {content: "text\\n", dest: /srv/text, mode: "0600", owner: ops}
            - copy: {content: {a: [1, 2]}, dest: /srv/json}
            - copy: {src: binary, dest: /srv/, mode: u=rw}
        """,
        "diff": ["text", '{"a": [1, 2]}', "(5120 bytes, sha256 "],
        "leaves": ["test \"$(stat -c %U:%a /srv/text)\" = ops:600", 'test "$(cat /srv/json)" = \'{"a": [1, 2]}\''],
    },
    "a tree by its name, into directories that are made": {
        "tasks": '- copy: {src: tree, dest: /srv/new/dir, mode: preserve, directory_mode: "0711", group: ops}',
        "leaves": [
            "test -L /srv/new/dir/tree/link && exit 1; test \"$(cat /srv/new/dir/tree/link)\" = a",
            "test \"$(stat -c %a:%G /srv/new/dir/tree /srv/new/dir/tree/sub/empty /srv/new | uniq)\" = 711:ops",
            "test \"$(stat -c %a:%G:%s /srv/new/dir/tree/a)\" = 600:ops:2",
        ],
    },
    "what is in a tree, with its links, over what is there": {
        "given": "- shell: mkdir -p /srv/t/sub && echo old > /srv/t/a && chmod 640 /srv/t/a\n  changed_when: false",
        "tasks": "- copy: {src: tree/, dest: /srv/t, local_follow: false, backup: true}",
        "diff": ["old", f"({LARGE} bytes, sha256 "],
        "leaves": [
            'test "$(readlink /srv/t/link)" = a',
            'test "$(stat -c %a /srv/t/a)" = 640',
            "cat /srv/t/a.*~ | grep -q old",
        ],
    },
    "templates in a loop": {
        "tasks": "- template: {src: t.j2, dest: '/srv/t{{ item }}', mode: \"0604\"}\n  loop: [1, 2, 3]",
        "diff": ["host "],
        "leaves": ['test "$(cat /srv/t3)" = "host $(hostname) 3"'],
    },
    "a template that is validated, through a link": {
        "given": "- shell: echo old > /srv/real && ln -s real /srv/through\n  changed_when: false",
        "tasks": """
            - template: {src: t.j2, dest: /srv/through, follow: true, validate: grep -q host %s}
              vars: {item: x}
        """,
        "leaves": ["test -L /srv/through", "grep -q x /srv/real"],
    },
    "an archive": {
        "tasks": """
            - file: {path: /srv/d, state: directory}
            - unarchive: {src: tree.tgz, dest: /srv/d, owner: ops, exclude: [tree/sub/empty]}
        """,
        "diff": [f"({LARGE} bytes"],
        "leaves": ["test \"$(stat -c %U:%a /srv/d/tree/a)\" = ops:600", "test ! -e /srv/d/tree/sub/empty"],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_transfer_keeps_its_promises(name: str, managed: ManagedHost, files: Path) -> None:
    keep_promises(managed, CASES[name])


def test_what_the_host_has_is_not_sent_again(managed: ManagedHost, files: Path) -> None:
    tasks = "- copy: {src: tree/sub/large, dest: /srv/large}"
    first = managed.play(tasks)
    assert first.exit_code == 0, first.told()
    sent = _traffic(managed, tasks)
    assert sent < LARGE / 4, "the agent itself is some 160 kB"
    managed.rollback(first.run)


def test_a_large_file_goes_straight_to_its_place(managed: ManagedHost, files: Path) -> None:
    """Nothing of it lies in /tmp, which may be small, and a disk that is full spoils this task and no other."""
    managed.host.ssh("mkdir -p /srv/full; for at in /tmp /srv/full; do mount -t tmpfs -o size=512k tmpfs $at; done")
    try:
        played = managed.play("""
            - copy: {src: tree/sub/large, dest: /srv/full/large}
              ignore_errors: true
            - copy: {src: tree/sub/large, dest: /srv/large}
            - copy: {content: after, dest: /srv/after}
        """)
        assert played.statuses == ["ignored", "changed", "changed"], played.told()
        assert "No space left on device" in played.results[0].result["msg"]
        assert managed.host.ssh("ls -A /srv/full; sha256sum < /srv/large").stdout.split()[0] == (
            hashlib.sha256((files / "tree/sub/large").read_bytes()).hexdigest()
        )
        managed.rollback(played.run)
    finally:
        managed.host.ssh("umount /tmp /srv/full")


def _traffic(managed: ManagedHost, tasks: str) -> int:
    """Bytes that a run sends to the host, counted by the host's own network interface."""
    counter = "cat /sys/class/net/host0/statistics/rx_bytes 2>/dev/null || cat /sys/class/net/e*/statistics/rx_bytes"
    before = int(managed.host.ssh(counter).stdout)
    managed.play(tasks)
    return int(managed.host.ssh(counter).stdout) - before


def test_a_script_runs_with_its_arguments_and_leaves_nothing(managed: ManagedHost, files: Path) -> None:
    tasks = """
        - script: script.sh 'two words' $HOME
          environment: {OUT: /srv/out}
          rollback: rm /srv/out
        - script: script.sh
          args: {creates: /srv/out}
    """
    before = managed.tree(["/srv/out"])
    played = managed.play(tasks)
    assert played.statuses == ["changed", "skipped"], played.told()
    result = played.results[0].result
    assert (result["rc"], result["stderr"]) == (0, "err\n")
    assert int(result["stdout"]) == (files / "script.sh").stat().st_size
    assert (
        managed.host.ssh("cat /srv/out; ls -d /var/lib/wxops/script-* 2>/dev/null", check=False).stdout
        == "2 two words /root\n"
    )
    assert managed.rollback(played.run).exit_code == 0
    assert managed.tree() == before


def test_a_script_in_check_mode_is_skipped_or_foretold(managed: ManagedHost, files: Path) -> None:
    played = managed.play("- script: script.sh\n- script: script.sh\n  args: {creates: /srv/none}", check=True)
    assert played.statuses == ["skipped", "changed"]


def test_fetch_brings_a_file_once(managed: ManagedHost, files: Path) -> None:
    tasks = """
        - fetch: {src: /srv/fetched, dest: got}
        - fetch: {src: /srv/fetched, dest: flat/, flat: true}
    """
    managed.host.ssh(f"head -c {LARGE} /dev/urandom > /srv/fetched")
    predicted = managed.play(tasks, check=True)
    assert predicted.statuses == ["changed", "changed"] and not (managed.folder / "got").exists()
    first = managed.play(tasks)
    assert first.statuses == ["changed", "changed"], first.told()
    got = managed.folder / "got" / managed.host.name / "srv/fetched"
    assert hashlib.sha1(got.read_bytes()).hexdigest() == first.results[0].result["checksum"]
    assert (managed.folder / "flat/fetched").read_bytes() == got.read_bytes()
    assert managed.play(tasks).statuses == ["ok", "ok"]
    managed.host.ssh("rm /srv/fetched")


def test_fetch_expands_the_path_on_the_host(managed: ManagedHost) -> None:
    managed.host.ssh("echo x > /root/wx-home")
    played = managed.play("- fetch: {src: ~/wx-home, dest: got}")
    assert played.statuses == ["changed"], played.told()
    assert (managed.folder / "got" / managed.host.name / "root/wx-home").read_text() == "x\n"
    managed.host.ssh("rm /root/wx-home")


def test_fetch_of_what_is_not_there(managed: ManagedHost) -> None:
    played = managed.play("""
        - fetch: {src: /srv/none, dest: got, fail_on_missing: false}
        - fetch: {src: /srv, dest: got}
          ignore_errors: true
        - fetch: {src: /srv/none, dest: got}
    """)
    assert played.statuses == ["ok", "ignored", "failed"]
    assert "does not exist" in played.results[2].result["msg"]
    assert "is a directory" in played.results[1].result["msg"]
    assert not (managed.folder / "got").exists()


@pytest.mark.parametrize("src", ["/srv/../../../etc/hostname", "../../x"])
def test_fetch_never_writes_outside_of_dest(src: str, managed: ManagedHost) -> None:
    played = managed.play([{"fetch": {"src": src, "dest": "got/deep"}}])
    written = [path for path in managed.folder.rglob("*") if path.is_file() and path.name in ("hostname", "x")]
    assert all((managed.folder / "got/deep" / managed.host.name) in path.parents for path in written)
    assert played.statuses in (["changed"], ["failed"])


def test_a_temporary_file_is_private_and_gone_after_a_rollback(managed: ManagedHost) -> None:
    played = managed.play("""
        - tempfile: {suffix: .conf}
          register: made
        - copy: {content: x, dest: "{{ made.path }}"}
        - stat: {path: "{{ made.path }}"}
          register: found
        - assert:
            that: [found.stat.mode == '0600', found.stat.size == 1, "made.path is match('/tmp/ansible.*[.]conf')"]
    """)
    assert played.exit_code == 0, played.told()
    path = played.results[0].result["path"]
    assert stat.S_IMODE((managed.host.root / path.lstrip("/")).stat().st_mode) == 0o600
    assert managed.rollback(played.run).exit_code == 0
    assert not (managed.host.root / path.lstrip("/")).exists()


def test_a_check_sees_what_earlier_tasks_would_have_made(managed: ManagedHost, files: Path) -> None:
    tasks = """
        - copy: {src: tree/, dest: /srv/made}
        - copy: {src: /srv/made, dest: /srv/again, remote_src: true}
        - stat: {path: /srv/again/made/sub/large}
          register: large
        - assert: {that: [large.stat.size == 3000000, large.stat.isreg]}
        - slurp: {src: /srv/again/made/a}
          register: text
        - assert: {that: ["text.content | b64decode == 'a\\n'"]}
        - command: echo
          args: {creates: /srv/again/*/a}
        - file: {path: /srv/made, state: absent}
        - command: echo
          args: {removes: /srv/made/a}
    """
    predicted = managed.play(tasks, check=True)
    first = managed.play(tasks)
    assert (
        predicted.statuses == first.statuses == ["changed", "changed", "ok", "ok", "ok", "ok", "ok", "changed", "ok"]
    ), predicted.told() + first.told()
    managed.rollback(first.run)


def test_a_secret_file_is_not_shown(managed: ManagedHost, files: Path) -> None:
    from wxops.playbook.vault import VaultKeys

    keys = VaultKeys().and_password("default", b"pw")
    (files / "secret").write_text(keys.encrypt("the-secret-content\n"))
    (managed.folder / "pw").write_text("pw")
    played = managed.play("- copy: {src: secret, dest: /srv/secret}", options={"vault": keys})
    assert played.exit_code == 0, played.told()
    assert managed.host.ssh("cat /srv/secret").stdout == "the-secret-content\n"
    assert "the-secret-content" not in str(played.events)
    managed.rollback(played.run)
