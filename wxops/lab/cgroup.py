"""Control groups: every process of a lab host lives in one, so that the host can be named, measured and ended exactly.

A host's processes are ended by its control group alone, never by a process name or a remembered pid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError

ROOT = Path("/sys/fs/cgroup")
WEIGHT = 16
"""How many processes beside them all labs together weigh. As one, which is usual, they starve on a busy machine."""


def _hierarchies() -> list[Path]:
    """Where this machine's hierarchies are mounted: one with cgroup2 alone, else one for each v1 controller too."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    controllers = (line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines())
    mounts = (ROOT / (name.removeprefix("name=") or "unified") for name in controllers)
    return [mount for mount in mounts if mount.is_dir()]


@dataclass(frozen=True)
class Cgroup:
    """The group of one path, such as `wxops-lab/lab/lab1`, in every hierarchy of this machine."""

    path: str

    def below(self, name: str) -> Cgroup:
        return Cgroup(f"{self.path}/{name}")

    def create(self) -> None:
        """Make the group, with all that is above it, able to take processes; it may exist."""
        for hierarchy in _hierarchies():
            group = hierarchy
            for part in Path(self.path).parts:
                if hierarchy == ROOT:
                    _delegate_controllers(group)
                group /= part
                group.mkdir(exist_ok=True)
                if hierarchy.name == "cpuset":  # a v1 cpuset starts empty and takes no process
                    for setting in ("cpuset.cpus", "cpuset.mems"):
                        (group / setting).write_text((group.parent / setting).read_text())
            _weigh(hierarchy / Path(self.path).parts[0])

    def entrances(self) -> list[Path]:
        """The files that a process writes its pid to, to move in with all that it starts."""
        return [hierarchy / self.path / "cgroup.procs" for hierarchy in _hierarchies()]

    def pids(self) -> set[int]:
        """Every process in the group and below it."""
        found: set[int] = set()
        for hierarchy in _hierarchies():
            for group in _groups_upwards(hierarchy / self.path):
                with contextlib.suppress(OSError):  # it was removed meanwhile
                    found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
        return found

    def memory(self) -> int:
        """Bytes that the group uses, page cache included; 0 when it is not there."""
        for usage in (ROOT / "memory" / self.path / "memory.usage_in_bytes", ROOT / self.path / "memory.current"):
            with contextlib.suppress(OSError):
                return int(usage.read_text())
        return 0

    def wait_empty(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pids():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """End every process of the group at once, and remove the group."""
        deadline = time.monotonic() + 20
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(f"Processes of {self.path} do not end: {sorted(pids)}", where="lab")
            time.sleep(0.02)
        self._remove()

    def _remove(self) -> None:
        for hierarchy in _hierarchies():
            for group in _groups_upwards(hierarchy / self.path):
                with contextlib.suppress(FileNotFoundError):
                    group.rmdir()


def _groups_upwards(top: Path) -> list[Path]:
    """`top` and all groups below it, deepest first; groups may come and go meanwhile."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]


def _delegate_controllers(group: Path) -> None:
    """Let groups below a cgroup2 group limit what it can limit itself: a nested Docker engine sets memory limits."""
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # one that the kernel reserves for the root, say
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _weigh(labs: Path) -> None:
    """Give all labs together their WEIGHT: in the units of v1 and of cgroup2, where their controller is."""
    for setting, usual in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (labs / setting).exists():
            (labs / setting).write_text(str(WEIGHT * usual))


def groups_below(path: str) -> list[Cgroup]:
    """The groups directly below `path`, whoever made them: what a crashed run may have left."""
    names = {d.name for h in _hierarchies() if (h / path).is_dir() for d in (h / path).iterdir() if d.is_dir()}
    return [Cgroup(f"{path}/{name}") for name in sorted(names)]
