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

    def create(self) -> None:
        for hierarchy in _hierarchies():
            group = hierarchy
            for part in Path(self.path).parts:
                group /= part
                group.mkdir(exist_ok=True)
                if (group / "cpuset.cpus").exists() and hierarchy != ROOT:  # a v1 cpuset starts empty and takes no task
                    for setting in ("cpuset.cpus", "cpuset.mems"):
                        (group / setting).write_text((group.parent / setting).read_text())

    def entrances(self) -> list[Path]:
        """The files that a process writes its pid to, to move in with all that it starts."""
        return [hierarchy / self.path / "cgroup.procs" for hierarchy in _hierarchies()]

    def pids(self) -> set[int]:
        """Every process in the group and below it."""
        found: set[int] = set()
        for hierarchy in _hierarchies():
            for procs in (hierarchy / self.path).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):  # a group below that was removed meanwhile
                    found.update(int(pid) for pid in procs.read_text().split())
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
            top = hierarchy / self.path
            groups = sorted((d for d in top.rglob("*") if d.is_dir()), key=lambda d: len(d.parts), reverse=True)
            for group in [*groups, top]:
                with contextlib.suppress(FileNotFoundError):
                    group.rmdir()


def groups_below(path: str) -> list[Cgroup]:
    """The groups directly below `path`, whoever made them: what a crashed run may have left."""
    names = {d.name for h in _hierarchies() if (h / path).is_dir() for d in (h / path).iterdir() if d.is_dir()}
    return [Cgroup(f"{path}/{name}") for name in sorted(names)]
