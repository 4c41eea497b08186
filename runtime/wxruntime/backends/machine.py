"""What this process may use of the machine: cores and memory, as its container (a cgroup) allows, and instructions."""

from __future__ import annotations

import os
import re
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
# Of version 2 and of version 1: quota and period of CPU time; most memory and what is used of it.
QUOTAS = (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
MEMORY = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def cores(cgroup: Path = CGROUP) -> int:
    """Threads that can run at once, at least one: more would only wait for each other."""
    allowed = len(os.sched_getaffinity(0))
    for quota_file, period_file in QUOTAS:
        words = (_read(cgroup / quota_file) + " " + (_read(cgroup / period_file) if period_file else "")).split()
        if len(words) == 2 and words[0].isdigit():
            allowed = min(allowed, max(1, int(words[0]) // int(words[1])))
    return allowed


def free_memory(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that can still be taken; what a cache of files holds counts as free."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
    free = int(found[1]) * 1024 if found else 0
    for limit_file, used_file in MEMORY:
        limit, used = _read(cgroup / limit_file), _read(cgroup / used_file)
        if limit.isdigit() and used.isdigit():
            free = min(free, max(0, int(limit) - int(used)))
    return free


def multiplies_bytes(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this is an x86 with VNNI: sums of four products of bytes in one instruction, exact in 32 bits."""
    return bool(re.search(r"^flags\s.*\b(avx512_vnni|avx_vnni)\b", _read(cpuinfo), re.MULTILINE))


def _read(path: Path) -> str:
    """Empty for a file that is not there: only one version of control groups is."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
