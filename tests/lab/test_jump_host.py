"""Many hosts behind one jump host: no more log in there at a time than its sshd takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from wxops.lab import Lab

WXOPS = Path(sys.executable).with_name("wxops")
BEHIND = 24


def test_a_jump_host_turns_nobody_away(lab: Lab, tmp_path: Path) -> None:
    """Its sshd refuses the eleventh that has not logged in yet; by default it refuses three of ten."""
    jump, target = lab.hosts[:2]
    jump.ssh("echo MaxStartups 10:100:10 >/etc/ssh/sshd_config.d/few.conf && systemctl reload ssh")
    inventory = yaml.safe_load(lab.inventory.read_text())
    known = f"-o UserKnownHostsFile={lab.known_hosts} -o StrictHostKeyChecking=yes"
    inventory["all"]["vars"]["ansible_ssh_common_args"] = f"{known} -i {lab.key} -J root@{jump.address}"
    inventory["all"]["children"]["gpu"]["hosts"] = {
        f"behind{number}": {"ansible_host": target.address} for number in range(BEHIND)
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    try:
        argv = [WXOPS, "inventory", "ping", "-i", "hosts.yml", "-T", "60", "-f", str(BEHIND)]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    finally:
        jump.ssh("rm /etc/ssh/sshd_config.d/few.conf && systemctl reload ssh")
    assert done.returncode == 0, done.stdout + done.stderr
