"""Light hosts: hundreds of addresses that answer SSH, for what is measured per connection and not per machine.

A light host is one sshd on a throw-away copy of the lab's root file system, with its own processes, mounts and address;
no systemd, no services. All light hosts share one network namespace and one host key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup
from wxops.lab.command import run
from wxops.lab.inventory import SSH_PORT
from wxops.lab.ssh import wait_until_greets
from wxops.lab.supervise import spawn

# sshd wants its run-time folder, which /run, a new tmpfs, lacks; sudo wants to resolve the host's own name.
PREPARE = "mkdir -p /run/sshd; echo 127.0.1.1 $(hostname) >>/etc/hosts"
ACCESS_IN_HOST = "lab"
SSHD = f"/usr/sbin/sshd -D -e -h /{ACCESS_IN_HOST}/host_key"
ACCESS = ("-o", f"AuthorizedKeysFile=/{ACCESS_IN_HOST}/authorized_keys", "-o", "StrictModes=no")


@dataclass(frozen=True)
class LightHost:
    """A light host named `name` at `port` of `address`, in network namespace `netns`."""

    name: str
    address: str
    port: int
    netns: str
    cgroup: Cgroup

    @property
    def shown_address(self) -> str:
        """As known_hosts has it."""
        return self.address if self.port == SSH_PORT else f"[{self.address}]:{self.port}"

    @property
    def root(self) -> Path:
        """Its file system as this machine sees it, while it runs. LabError when it does not."""
        for pid in sorted(self.cgroup.pids()):
            root = Path(f"/proc/{pid}/root")
            if (root / ACCESS_IN_HOST / "host_key").exists():  # nspawn itself is of the group, too, and stays outside
                return root
        raise LabError(f"{self.name} does not run.", fix="Start the light hosts anew.")

    def boot(self, lower: Path, access: Path) -> None:
        """Start it on the root file system `lower`; `access` holds host_key and authorized_keys."""
        nspawn = ("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--resolv-conf=off", "--as-pid2")
        where = ("-D", str(lower), "--volatile=overlay", f"--machine={self.name}")
        network = (f"--network-namespace-path=/run/netns/{self.netns}", f"--bind-ro={access}:/{ACCESS_IN_HOST}")
        sshd = (
            "sh",
            "-c",
            f'{PREPARE}; exec {SSHD} "$@"',
            "sshd",
            "-o",
            f"ListenAddress={self.address}:{self.port}",
            *ACCESS,
        )
        spawn(self.cgroup, [*nspawn, *where, *network, *sshd], self._log(access))

    def wait(self, access: Path) -> None:
        wait_until_greets(self.name, self.address, self._log(access), port=self.port)

    def _log(self, access: Path) -> Path:
        return access / f"{self.name}.log"


def make_access(folder: Path, public_key: Path) -> Path:
    """A folder with the host key that light hosts show and the key that they accept."""
    folder.mkdir(exist_ok=True)
    if not (folder / "host_key").exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "light hosts", "-f", str(folder / "host_key"))
    (folder / "authorized_keys").write_text(public_key.read_text())
    return folder
