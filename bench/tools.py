"""The tools that are compared: how each is installed, started on the common work, and asked what it changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wxops.lab import Lab
from wxops.lab.inventory import SSH_PORT

ANSIBLE = ("ansible-core==2.19.14", "mitogen==0.3.54")
PYINFRA = ("pyinfra==3.10.0",)
WXOPS = Path(sys.executable).with_name("wxops")


@dataclass(frozen=True)
class Targets:
    """The hosts that a tool works on: an inventory in Ansible's YAML, and what pyinfra wants to know of each."""

    inventory: Path
    places: Mapping[str, tuple[str, int]]
    key: Path
    known_hosts: Path

    @classmethod
    def of(cls, lab: Lab) -> Targets:
        """A lab's hosts."""
        places = {host.name: (host.address, SSH_PORT) for host in lab.hosts}
        return cls(lab.inventory, places, lab.key, lab.known_hosts)


@dataclass(frozen=True)
class Tool(ABC):
    """One way to do the work. warm_runs: how often it is measured with nothing to change; the quick ones more often.

    options: words that its command gets besides.
    """

    name: str
    warm_runs: int = 3
    cold_runs: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @abstractmethod
    def argv(self, targets: Targets, directory: Path) -> list[str]:
        """The command that does the work of `directory` (site.yml, deploy.py) on these hosts."""

    @abstractmethod
    def changes(self, output: str) -> int:
        """How many changes it says that it made, on all hosts."""


class AnsibleLayout(Tool):
    """A tool that plays site.yml and ends with Ansible's recap."""

    def changes(self, output: str) -> int:
        return sum(map(int, re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)))


class Ansible(AnsibleLayout):
    def argv(self, targets: Targets, directory: Path) -> list[str]:
        (directory / "ansible.cfg").touch()  # its defaults, whatever this machine's own settings are
        program = environment("ansible", ANSIBLE) / "ansible-playbook"
        return [str(program), *self.options, "-i", str(targets.inventory), "site.yml"]


class Wxops(AnsibleLayout):
    def argv(self, targets: Targets, directory: Path) -> list[str]:
        return [str(WXOPS), "run", *self.options, "-i", str(targets.inventory), "site.yml"]


class Pyinfra(Tool):
    def argv(self, targets: Targets, directory: Path) -> list[str]:
        access = {"ssh_user": "root", "ssh_key": str(targets.key), "ssh_known_hosts_file": str(targets.known_hosts),
                  "ssh_strict_host_key_checking": "yes"}  # fmt: skip
        hosts = [(name, {"ssh_hostname": address, "ssh_port": port, **access})
                 for name, (address, port) in targets.places.items()]  # fmt: skip
        (directory / "inventory.py").write_text(f"hosts = {hosts!r}\n")
        return [str(environment("pyinfra", PYINFRA) / "pyinfra"), "-y", *self.options, "inventory.py", "deploy.py"]

    def changes(self, output: str) -> int:
        total = re.search(r"Grand total +\d+ +(\d+|-)", output)
        if total is None:
            raise ValueError("pyinfra printed no grand total")
        return 0 if total[1] == "-" else int(total[1])


def tools(wanted: Sequence[str] = ()) -> list[Tool]:
    """Those whose names hold one of these words, by default all; wxops last, for the ratios are against it."""
    plain = {"ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_NOCOLOR": "1"}
    mitogen = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(_mitogen_strategies())}
    peers: list[Tool] = [
        Ansible("ansible-core", environment=plain),
        Ansible("ansible-core, pipelining", environment={**plain, "ANSIBLE_PIPELINING": "1"}),
        Ansible("ansible-core, mitogen", environment={**plain, **mitogen}),
        Pyinfra("pyinfra", warm_runs=5, cold_runs=2),
    ]
    chosen = [peer for peer in peers if not wanted or any(word in peer.name for word in wanted)]
    return [*chosen, Wxops("wxops", warm_runs=15, cold_runs=5)]


def environment(name: str, requirements: tuple[str, ...]) -> Path:
    """The bin folder of a virtual environment that holds just these packages, made where it is missing."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "wxops" / "bench" / name
    record = folder / "requirements.txt"
    wanted = "".join(f"{requirement}\n" for requirement in requirements)
    if not record.exists() or record.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--quiet", *requirements], check=True)
        record.write_text(wanted)
    return folder / "bin"


def _mitogen_strategies() -> Path:
    library = environment("ansible", ANSIBLE).parent / "lib"
    (folder,) = library.glob("python3*/site-packages/ansible_mitogen/plugins/strategy")
    return folder
