"""Mounts are told with their room, and one that hangs costs its own room and a warning, not the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.facts_host import host_of
from wxops.agent.facts.gathering import gather
from wxops.agent.facts.mounts import may_hang, mounts

MOUNTS = """/dev/vda1 / ext4 rw,relatime 0 1
proc /proc proc rw,nosuid 0 0
/dev/vda1 /var/lib/docker ext4 rw,relatime 0 0
/dev/vda1 /with\\040blank ext4 rw 0 0
nas:/export /mnt/nas nfs4 rw,vers=4.2 0 0
none /none none rw 0 0
"""
MOUNT_INFO = """21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
22 21 254:1 /docker /var/lib/docker rw,relatime - ext4 /dev/vda1 rw
"""


def test_mounts_of_disks_and_servers_are_listed(tmp_path: Path) -> None:
    (tmp_path / "mnt/nas").mkdir(parents=True)
    (tmp_path / "with blank").mkdir()
    (tmp_path / "var/lib/docker").mkdir(parents=True)
    facts = mounts(host_of(tmp_path, {"/proc/self/mounts": MOUNTS, "/proc/self/mountinfo": MOUNT_INFO}))["mounts"]
    assert [(entry["mount"], entry["fstype"], entry["options"], entry["passno"]) for entry in facts] == [
        ("/", "ext4", "rw,relatime", 1),
        ("/var/lib/docker", "ext4", "rw,relatime,bind", 0),
        ("/with blank", "ext4", "rw", 0),
        ("/mnt/nas", "nfs4", "rw,vers=4.2", 0),
    ]
    assert all(entry["uuid"] == "N/A" and entry["size_total"] > 0 for entry in facts)


def test_room_adds_up() -> None:
    room = os.statvfs("/")
    facts, _ = gather(["!all", "!min", "mounts"])
    root = [entry for entry in facts["ansible_mounts"] if entry["mount"] == "/"]
    for entry in root:  # a container's root may not be on a disk, and is then not listed
        assert entry["size_total"] == room.f_frsize * room.f_blocks
        assert entry["block_used"] + entry["block_available"] == entry["block_total"]
        assert entry["inode_used"] + entry["inode_available"] == entry["inode_total"]


@pytest.mark.parametrize(
    ("mount", "expected"),
    [("/", False), ("/mnt/nas", True), ("/mnt/nas/disk", True), ("/mnt/nastier", False), ("/home/me/far", True)],
)
def test_what_may_hang_is_a_server_or_lies_behind_one(mount: str, expected: bool) -> None:
    kinds = {"/": "ext4", "/mnt/nas": "nfs4", "/mnt/nas/disk": "ext4", "/mnt/nastier": "xfs", "/home/me/far": "fuse.x"}
    assert may_hang(mount, kinds) is expected


def test_everything_may_hang_on_a_host_without_a_disk() -> None:
    assert may_hang("/var", {"/": "nfs4", "/var": "ext4"})


def test_a_mount_that_refuses_says_why(tmp_path: Path) -> None:
    host = host_of(tmp_path, {"/proc/self/mounts": "nas:/gone /mnt/gone nfs4 rw 0 0\n"})
    entry = mounts(host)["mounts"][0]
    assert entry["note"] == "Could not get extra information: No such file or directory"
    assert host.warnings == ["mounts: /mnt/gone (nfs4 from nas:/gone): " + entry["note"]]


DEAD_MOUNTS = """
import ctypes, json, os, sys, time
from wxops.agent.facts.gathering import gather
libc = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:  # file systems whose server never says a word
    server = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % server
    if libc.mount(b"nas:/export", os.fsencode(name), b"fuse.sshfs", 0, options.encode()):
        sys.exit("mount: " + os.strerror(ctypes.get_errno()))
started = time.monotonic()
facts, warnings = gather(["!all", "!min", "mounts"], timeout=0.5)
print(json.dumps([time.monotonic() - started, facts["ansible_mounts"], facts["ansible_memtotal_mb"], warnings]))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounting needs root and /dev/fuse")
def test_dead_servers_cost_one_timeout_together(tmp_path: Path) -> None:
    """In a mount namespace of its own: nothing else on this machine may meet these mounts."""
    dead = [tmp_path / "dead1", tmp_path / "dead2"]
    for path in dead:
        path.mkdir()
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", DEAD_MOUNTS, *map(str, dead)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    seconds, entries, memory, warnings = json.loads(done.stdout)
    assert seconds < 2
    assert memory > 0
    hanging = [entry for entry in entries if entry["fstype"] == "fuse.sshfs"]
    assert [entry["mount"] for entry in hanging] == [str(path) for path in dead]
    assert {entry["note"] for entry in hanging} == {"Could not get extra information due to timeout"}
    assert [str(path) in warning for path, warning in zip(dead, warnings, strict=True)] == [True, True]
