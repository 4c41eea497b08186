"""A lab: hosts, their network, their registry, and an inventory, under one name; up, grown, reset and taken down."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxops.errors import LabError
from wxops.lab import light
from wxops.lab.cgroup import Cgroup
from wxops.lab.command import run
from wxops.lab.host import Host
from wxops.lab.inventory import SSH_PORT, write_inventory, write_known_hosts
from wxops.lab.machine import allow_many_hosts, require_lab
from wxops.lab.mounts import remove_tree
from wxops.lab.network import MOST_HOSTS, MOST_LIGHT_HOSTS, Network, slash_24
from wxops.lab.registry import Registry
from wxops.lab.rootfs import rootfs
from wxops.lab.status import HostStatus, LabStatus

NAME, SUBNET = "lab", "10.77.0.0/24"
SUBNET_RECORD = "subnet"


class Lab:
    """The lab of that name. Several may run on one machine, each with a /24 of its own; WXOPS_LAB and
    WXOPS_LAB_SUBNET name the one that is meant by default.

    What runs is read from the machine itself (control groups, mounts, interfaces), so any process may use a lab that
    another one started, and a lab whose maker died can be seen and cleaned up.

        lab = Lab()
        lab.up(2)
        lab.ssh("lab1", "systemctl is-system-running").stdout
        lab.down()
    """

    def __init__(self, name: str | None = None, subnet: str | None = None) -> None:
        self.name = name or os.environ.get("WXOPS_LAB") or NAME
        if not re.fullmatch(r"[a-z][a-z0-9]{0,8}", self.name):
            raise LabError(f"{self.name!r} cannot name a lab.", fix="Use 1 to 9 small letters and digits.")
        self.base = _base()
        self.folder = self.base / self.name
        self.network = Network(self.name, self._subnet(subnet or os.environ.get("WXOPS_LAB_SUBNET")))
        self.cgroup = Cgroup(f"wxops-lab/{self.name}")
        self.key = self.folder / "id_ed25519"
        self.known_hosts = self.folder / "known_hosts"
        self.inventory = self.folder / "inventory.yml"
        self.light_inventory = self.folder / "light.yml"
        self.registry = Registry(self.network.gateway, self.folder / "registry", self._cgroup("registry"))

    @classmethod
    def all(cls) -> list[Lab]:
        """Every lab that left a trace on this machine, whoever made it."""
        return [cls(record.parent.name, record.read_text()) for record in sorted(_base().glob(f"*/{SUBNET_RECORD}"))]

    def _subnet(self, wanted: str | None) -> ipaddress.IPv4Network:
        """The network that was asked for, else the one that the lab already has."""
        record = self.folder / SUBNET_RECORD
        has = record.read_text() if record.exists() else None
        if wanted and has and wanted != has:
            raise LabError(f"Lab {self.name} is up on {has}, not on {wanted}.", fix="Run `wxops lab down` first.")
        return slash_24(wanted or has or SUBNET)

    def _cgroup(self, name: str) -> Cgroup:
        return self.cgroup.below(name)

    # Hosts

    def _host(self, number: int) -> Host:
        name = f"{self.name}{number}"
        folder = self.folder / "hosts" / name
        return Host(name, self.network.host_address(number), folder, self._cgroup(name), self.key, self.known_hosts)

    @property
    def hosts(self) -> list[Host]:
        """The hosts that were brought up, in order; a host that died or was powered off is still among them."""
        made = [folder.name for folder in (self.folder / "hosts").glob("*")]
        return [self._host(n) for n in sorted(int(name.removeprefix(self.name)) for name in made)]

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts) or "none"
        raise LabError(f"There is no lab host {name!r}; running: {known}.", fix="Run `wxops lab up` first.")

    def ssh(self, name: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, as root: one argument is a shell line, several are an argument list."""
        return self.host(name).ssh(*command, check=check)

    def status(self) -> LabStatus:
        hosts = tuple(
            HostStatus(host.name, host.address, host.state(), host.cgroup.memory() if host.running() else 0)
            for host in self.hosts
        )
        return LabStatus(self.name, hosts, len(self.light_hosts), self.registry.address, str(self.inventory))

    # Light hosts

    @property
    def _light_netns(self) -> str:
        return f"{self.name}-light"

    def _light(self, number: int) -> light.LightHost:
        name = f"{self.name}-light{number}"
        return light.LightHost(name, *self.network.light_place(number), self._light_netns, self._cgroup(name))

    @property
    def light_hosts(self) -> list[light.LightHost]:
        count = self.folder / "light" / "count"
        return [self._light(n) for n in range(1, int(count.read_text()) + 1)] if count.exists() else []

    def up_light(self, count: int) -> list[light.LightHost]:
        """Have `count` light hosts and no more, at most 600; their inventory is `light_inventory`."""
        require_lab()
        _require_room(count, MOST_LIGHT_HOSTS)
        with self._alone():
            lower = self._prepare()
            access = light.make_access(self.folder / "light", self.key.with_suffix(".pub"))
            for old in self.light_hosts:
                old.cgroup.kill()
            (access / "count").write_text(str(count))
            new = self.light_hosts
            self.network.attach(self._light_netns, *dict.fromkeys(one.address for one in new))
            for one in new:
                one.boot(lower, access)
            self._describe()
            for one in new:
                one.wait(access)
            return new

    # Life

    def up(self, count: int = 2, binds: Mapping[str, Path] | None = None) -> list[Host]:
        """Have at least `count` hosts running; those that run stay as they are, dead ones start anew.

        binds: files of this machine that the hosts started now see, by path in the host.
        """
        require_lab()
        allow_many_hosts()
        _require_room(count, MOST_HOSTS)
        with self._alone():
            lower = self._prepare()
            wanted = [self._host(number) for number in range(1, count + 1)]
            every = {host.name: host for host in [*wanted, *self.hosts]}.values()
            new = [host for host in every if not host.running()]
            for host in new:
                self._start(host, lower, binds or {})
            self._describe()
            for host in new:
                host.wait_healthy()
            for host in wanted:  # one of a run that was cut short may still be booting
                host.wait()
            return self.hosts

    def reset(self, name: str, binds: Mapping[str, Path] | None = None) -> Host:
        """Back to the pristine root file system, with a new network namespace; address and host key stay."""
        require_lab()
        with self._alone():
            host = self.host(name)
            kept = {target: Path(source) for target, source in host.binds.items()}
            self._start(host, self._prepare(), kept if binds is None else binds)
            host.wait_healthy()
            return host

    def link(self, name: str, *, up: bool) -> None:
        """Plug a host's network cable in, or out: a network partition."""
        self.network.link(self.host(name).name, up=up)

    def down(self) -> None:
        """End every host and take away all that the lab put on this machine. Nothing to do is fine."""
        require_lab()
        with self._alone():
            self.cgroup.kill()
            self.registry.down()
            for name in {*self.network.attached(), *(host.name for host in self.hosts), self._light_netns}:
                self.network.detach(name)
            self.network.down()
            remove_tree(self.folder)

    def _prepare(self) -> Path:
        """All that hosts stand on, made where it is missing; the root file system's folder."""
        lower = rootfs()
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"wxops lab {self.name}", "-f", str(self.key))
        (self.folder / SUBNET_RECORD).write_text(str(self.network.subnet))
        self.network.up()
        self.registry.up()
        return lower

    def _start(self, host: Host, lower: Path, binds: Mapping[str, Path]) -> None:
        host.create(lower, {self.registry.trust: self.registry.certificate}, binds)
        self.network.attach(host.name, host.address)
        host.boot()

    def _describe(self) -> None:
        """Write the inventory and the known hosts."""
        keys = [(host.name, host.address, host.host_key.with_suffix(".pub")) for host in self.hosts]
        lights = self.light_hosts
        keys += [(one.name, one.shown_address, self.folder / "light" / "host_key.pub") for one in lights]
        write_known_hosts(self.known_hosts, keys)
        places = {host.name: (host.address, SSH_PORT) for host in self.hosts}
        light_places = {one.name: (one.address, one.port) for one in lights}
        for path, known in ((self.inventory, places), (self.light_inventory, light_places)):
            write_inventory(path, known, self.key, self.known_hosts)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lab's lock: of two that change it at once, the second waits."""
        self.base.mkdir(parents=True, exist_ok=True)
        with (self.base / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _require_room(count: int, most: int) -> None:
    if not 0 < count <= most:
        raise LabError(f"A lab has no room for {count} hosts of that kind.", fix=f"Ask for 1 to {most}.")


def _base() -> Path:
    """Where labs keep their files; it must be on a file system that an overlay can write to (ext4, xfs)."""
    return Path(os.environ.get("WXOPS_LAB_DIR") or "/var/lib/wxops-lab")
