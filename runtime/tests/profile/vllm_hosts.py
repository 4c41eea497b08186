"""Two hosts on one machine for a real vLLM: each has a network, processes and shared memory of its own. Needs root."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wxruntime.profile.command import Command

ADDRESSES = ["10.79.0.10", "10.79.0.11"]
BRIDGE = "wxvllm"


@dataclass
class Node:
    """A host with an address. Its first process is what the command starts; when that ends, so does all else on it."""

    rank: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def name(self) -> str:
        return f"{BRIDGE}{self.rank}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self, command: Command, environment: Mapping[str, str]) -> None:
        """As a container with the host's network would, in a mount namespace with a /dev/shm of its own."""
        variables = {"TMPDIR": str(self.folder), "HOME": str(self.folder), **environment, **command.environment}
        words = shlex.join([*command.entrypoint, *command.arguments])
        prepare = (
            f"mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm && exec {words}"
        )
        inside = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", prepare]
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *inside],
                env={**os.environ, **variables},
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """As a power cut, save that the kernel still closes its connections."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def cut(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        _ip(f"link set {self.name} down")

    def mend(self) -> None:
        _ip(f"link set {self.name} up")


@contextmanager
def hosts(folder: Path) -> Iterator[list[Node]]:
    """Two of them on a bridge, gone at the end."""
    _remove()
    nodes = [Node(rank, folder / f"node{rank}") for rank in range(len(ADDRESSES))]
    try:
        _ip(f"link add {BRIDGE} type bridge")
        _ip(f"addr add 10.79.0.1/24 dev {BRIDGE}")
        _ip(f"link set {BRIDGE} up")
        for node, address in zip(nodes, ADDRESSES, strict=True):
            node.folder.mkdir()
            _ip(f"netns add {node.name}")
            _ip(f"link add {node.name} type veth peer name eth0 netns {node.name}")
            _ip(f"link set {node.name} master {BRIDGE} up")
            _ip(f"-n {node.name} addr add {address}/24 dev eth0")
            _ip(f"-n {node.name} link set eth0 up")
            _ip(f"-n {node.name} link set lo up")
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        _remove()


def _remove() -> None:
    """Also what a run that was broken off left behind."""
    names = [f"{BRIDGE}{rank}" for rank in range(len(ADDRESSES))]
    # A namespace goes later than its deletion says, and takes its end of the link with it only then.
    for what in (*(f"link del {name}" for name in (*names, BRIDGE)), *(f"netns del {name}" for name in names)):
        subprocess.run(["ip", *what.split()], stderr=subprocess.DEVNULL, check=False)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)
