"""What runs on the host, in one pass over /proc: in which container, and what it has mapped that concerns an audit."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Iterator, List

    from wxops.agent.facts.host import Host

OLD_SSL = re.compile(rb"/lib(?:ssl|crypto)[^/\n]*\.so[^/\n]* \(deleted\)$", re.MULTILINE)
TORCH = re.compile(rb"(/[^\n]*)/torch/lib/libtorch[^/\n]*\.so")
CONTAINER = re.compile(r"(?:docker|libpod|cri-containerd|crio|containerd)?[-/]([0-9a-f]{64})(?:\.scope)?(?:/|$)", re.M)
UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.M)
SECONDS = 1.0
KEPT = 16 << 20  # bytes of one process's maps


class Process(NamedTuple):
    """container: its id, "" for the host's own. old_ssl: it runs an OpenSSL that has been replaced since.

    torch: the directory of packages that it has loaded PyTorch from.
    """

    pid: int
    name: str
    unit: str
    container: str
    old_ssl: bool
    torch: str


class Processes:
    """All of them, or those that were read in time."""

    def __init__(self, host: Host, seconds: float = SECONDS) -> None:
        self._unreadable, self._cut_short = 0, False
        self._host, self._end = host, time.monotonic() + seconds
        self.all: List[Process] = list(self._read())

    def _read(self) -> Iterator[Process]:
        for name in self._host.names("/proc"):
            if not name.isdigit():
                continue
            if time.monotonic() > self._end:
                self._cut_short = True
                return
            maps = self._maps("/proc/%s/maps" % name)
            if maps:
                yield self._process(int(name), maps)

    def _process(self, pid: int, maps: bytes) -> Process:
        groups = self._host.read("/proc/%d/cgroup" % pid)
        container, unit = CONTAINER.search(groups), UNIT.search(groups)
        torch = TORCH.search(maps) if b"/torch/lib/libtorch" in maps else None  # the pattern alone takes long
        return Process(
            pid, self._host.read("/proc/%d/comm" % pid), unit.group(1) if unit else "",
            container.group(1) if container else "", b" (deleted)\n" in maps and OLD_SSL.search(maps) is not None,
            os.fsdecode(torch.group(1)) if torch else "",
        )  # fmt: skip

    def _maps(self, path: str) -> bytes:
        """Nothing for threads of the kernel, for what has ended, and for what is not ours to see."""
        parts, size = [], 0
        try:
            with open(self._host.root + path, "rb", buffering=0) as file:
                part = file.read(65536)
                while part and size < KEPT:
                    parts.append(part)
                    size += len(part)
                    part = file.read(65536)
        except PermissionError:
            self._unreadable += 1
        except OSError:
            return b""
        return b"".join(parts)

    @property
    def unseen(self) -> str:
        """Why some were not looked into; "" when all were."""
        if self._cut_short:
            return "there was time to look into %d processes only" % len(self.all)
        if not self._unreadable:
            return ""
        return "%d process%s may not be looked into" % (self._unreadable, "" if self._unreadable == 1 else "es")

    def leaders(self) -> Iterator[Process]:
        """One process of each container."""
        seen = set()
        for process in sorted(self.all):
            if process.container and process.container not in seen:
                seen.add(process.container)
                yield process
