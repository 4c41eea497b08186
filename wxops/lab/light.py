"""Light hosts: hundreds of addresses that answer SSH, for what is measured per connection and not per machine.

A light host is one sshd on a throw-away copy of the lab's root file system, with its own processes, mounts and address;
no systemd, no services. All light hosts share one network namespace and one host key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wxops.lab.cgroup import Cgroup
from wxops.lab.command import run
from wxops.lab.ssh import wait_until_greets
from wxops.lab.supervise import spawn

# sshd wants its run-time folder, which /run, a new tmpfs, lacks; sudo wants to resolve the host's own name.
PREPARE = "mkdir -p /run/sshd; echo 127.0.1.1 $(hostname) >>/etc/hosts"
SSHD = "/usr/sbin/sshd -D -e -h /lab/host_key"
ACCESS = ("-o", "AuthorizedKeysFile=/lab/authorized_keys", "-o", "StrictModes=no")


@dataclass(frozen=True)
class LightHost:
    """A light host named `name` at `address`, in network namespace `netns`."""

    name: str
    address: str
    netns: str
    cgroup: Cgroup

    def boot(self, lower: Path, access: Path) -> None:
        """Start it on the root file system `lower`; `access` holds host_key and authorized_keys."""
        nspawn = ("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--resolv-conf=off", "--as-pid2")
        where = ("-D", str(lower), "--volatile=overlay", f"--machine={self.name}")
        network = (f"--network-namespace-path=/run/netns/{self.netns}", f"--bind-ro={access}:/lab")
        sshd = ("sh", "-c", f'{PREPARE}; exec {SSHD} "$@"', "sshd", "-o", f"ListenAddress={self.address}", *ACCESS)
        spawn(self.cgroup, [*nspawn, *where, *network, *sshd], self._log(access))

    def wait(self, access: Path) -> None:
        wait_until_greets(self.name, self.address, self._log(access))

    def _log(self, access: Path) -> Path:
        return access / f"{self.name}.log"


def make_access(folder: Path, public_key: Path) -> Path:
    """A folder with the host key that light hosts show and the key that they accept."""
    folder.mkdir(exist_ok=True)
    if not (folder / "host_key").exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "light hosts", "-f", str(folder / "host_key"))
    (folder / "authorized_keys").write_text(public_key.read_text())
    return folder
