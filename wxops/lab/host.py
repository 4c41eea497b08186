"""One lab host: its file system, its identity, and its life from power on to power off."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup
from wxops.lab.command import run
from wxops.lab.mounts import mount_overlay, mounts_below, remove_tree
from wxops.lab.rootfs import OPS_PASSWORD, resolv_conf
from wxops.lab.ssh import authorize, greets, ssh_options, wait_until_greets
from wxops.lab.supervise import spawn

__all__ = ["OPS_PASSWORD", "Host"]

# What a host may do to itself, less what would reach this machine: its clock and its kernel modules.
CAPABILITIES = ("--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE")
# Calls that a nested Docker engine makes, and nspawn refuses by default.
SYSTEM_CALLS = "--system-call-filter=@keyring bpf"
# /proc/sys/net is the host's own; /tmp is on its disk, as on a fresh Debian.
NSPAWN = ("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--resolv-conf=off", "--link-journal=no")
NSPAWN_SETTINGS = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}


@dataclass(frozen=True)
class Host:
    """A host named `name` at `address`, whose files are kept in `folder`.

    key: the private key that root, ops and deploy accept.

    One thing differs from a real machine: its network namespace outlives a reboot, so packet filter rules and net.*
    sysctls that nothing sets at boot are still there afterwards. Lab.reset() gives it a new one.
    """

    name: str
    address: str
    folder: Path
    cgroup: Cgroup
    key: Path
    known_hosts: Path

    @property
    def root(self) -> Path:
        """The host's whole file system as this machine sees it, less what it mounts itself (/run, /proc, a bind)."""
        return self.folder / "root"

    @property
    def console(self) -> Path:
        """What the host printed while it booted."""
        return self.folder / "console.log"

    @property
    def host_key(self) -> Path:
        return self.folder / "ssh_host_ed25519_key"

    @property
    def binds(self) -> dict[str, str]:
        """Files of this machine that the host sees since it was created: path in the host to path here."""
        record = self.folder / "binds.json"
        return dict(json.loads(record.read_text())) if record.exists() else {}

    def running(self) -> bool:
        return bool(self.cgroup.pids())

    def state(self) -> str:
        """running, unreachable (it runs, and its sshd does not greet) or off."""
        if not self.running():
            return "off"
        return "running" if greets(self.address) else "unreachable"

    # Power

    def create(self, lower: Path, trusted: Mapping[Path, Path], binds: Mapping[str, Path]) -> None:
        """Lay out a pristine host on the root file system `lower`; `trusted` are files to copy into it."""
        self.wipe()
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = {target: str(Path(source).resolve()) for target, source in binds.items()}
        (self.folder / "binds.json").write_text(json.dumps(sources))
        if not self.host_key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(self.host_key))
        mount_overlay(lower, self.folder / "upper", self.folder / "work", self.root)
        self._give_identity()
        for target, source in trusted.items():
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, self.root / target)

    def _give_identity(self) -> None:
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n::1\tlocalhost ip6-localhost\n")
        (etc / "machine-id").write_text(uuid.uuid5(uuid.NAMESPACE_OID, self.cgroup.path).hex + "\n")
        (etc / "resolv.conf").write_text(resolv_conf())
        for suffix in ("", ".pub"):
            shutil.copy(f"{self.host_key}{suffix}", etc / "ssh")
        for home, uid in (("root", 0), ("home/ops", 1000), ("home/deploy", 1001)):
            authorize(self.root / home, self.key.with_suffix(".pub"), uid)

    def boot(self) -> None:
        """Power on, with the files as they are. Returns at once: wait() tells when the host is up."""
        if not mounts_below(self.root):
            raise LabError(f"Lab host {self.name} has no file system.", fix="Run `wxops lab up` to make it anew.")
        docker = self.folder / "docker"  # on a real file system: an overlay cannot be stacked on the host's own
        docker.mkdir(exist_ok=True)
        spawn(
            self.cgroup,
            [
                *NSPAWN,
                *("-D", str(self.root), f"--machine={self.name}", f"--network-namespace-path=/run/netns/{self.name}"),
                *(*CAPABILITIES, SYSTEM_CALLS, f"--bind={docker}:/var/lib/docker"),
                *(f"--bind-ro={source}:{target}" for target, source in self.binds.items()),
                "--boot",
            ],
            self.console,
            NSPAWN_SETTINGS,
        )

    def wait(self, seconds: float = 60) -> str:
        """Until the host has booted and its sshd lets everybody in; systemd's word for its state."""
        wait_until_greets(self.name, self.address, self.console, seconds)
        return self.ssh("systemctl is-system-running --wait", check=False).stdout.strip()

    def wait_healthy(self) -> None:
        """As wait(), and LabError unless every unit came up: what a pristine host owes."""
        state = self.wait()
        if state != "running":
            failed = self.ssh("systemctl list-units --failed --plain --no-legend", check=False).stdout.strip()
            raise LabError(f"{self.name} booted to state {state!r}. {failed}", where=str(self.console))

    def poweroff(self, seconds: float = 60) -> None:
        """Shut down in order, files kept; boot() starts it again."""
        self.ssh("systemctl poweroff", check=False)
        if not self.cgroup.wait_empty(seconds):
            raise LabError(f"{self.name} did not power off within {seconds:.0f} s.", where=str(self.console))

    def kill(self) -> None:
        """Pull the plug: every process ends at once, files kept as they are."""
        self.cgroup.kill()

    def wipe(self) -> None:
        """Pull the plug and forget the file system; only the host's key stays."""
        self.kill()
        for part in ("root", "upper", "work", "docker"):
            remove_tree(self.folder / part)

    # Access

    def ssh_argv(self, user: str = "root") -> list[str]:
        """The ssh command that reaches the host, host key checked; a remote command may follow."""
        options = ("BatchMode=yes", "ConnectTimeout=10", *ssh_options(self.known_hosts))
        flags = [word for option in options for word in ("-o", option)]
        return ["ssh", "-i", str(self.key), *flags, f"{user}@{self.address}"]

    def ssh(
        self, *command: str, text: str | None = None, check: bool = True, user: str = "root", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command over SSH: one argument is a shell line, several are an argument list."""
        line = command[0] if len(command) == 1 else shlex.join(command)
        argv = [*self.ssh_argv(user), line]
        done = subprocess.run(argv, input=text or "", capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise LabError(f"`{line}` exited with {done.returncode}: {said}", where=self.name)
        return done
