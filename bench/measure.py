"""What one command costs this machine: time on the clock, processor time and memory, of all that it starts."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.memory import Peak
from wxops.lab.cgroup import Cgroup
from wxops.lab.supervise import ENTER

CGROUP = Cgroup(f"wxops-bench-{os.getpid()}")  # of this process: several may measure on one machine
# Where a control group tells the processor time that it took, and how many of its units make a second.
CPU_V1, CPU_V2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")
LIMIT_S = 900


class BenchError(Exception):
    """A tool did not do the work, so its time would say nothing."""


@dataclass(frozen=True)
class Cost:
    """wall, cpu: seconds. cpu is that of every process that the command started, also those that it left behind, as
    ansible-core leaves an ssh for each host. memory: bytes, the command's own largest resident set. together: bytes,
    the most that all those processes had of their own at one time.
    """

    wall: float
    cpu: float
    memory: int
    together: int = 0


def run(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None, codes: Collection[int] = (0,)
) -> tuple[Cost, str]:
    """Run a command to its end in a control group of its own; BenchError, with what it printed, when it fails.

    codes: the exit codes with which it did its work.
    """
    CGROUP.kill()
    CGROUP.create()
    entrances = " ".join(map(str, CGROUP.entrances()))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    log = directory / "output.txt"
    with log.open("w") as output, Peak(CGROUP) as peak:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["timeout", str(LIMIT_S), "sh", "-c", ENTER, entrances, *argv], cwd=directory,
            env={**inherited, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(wall, cpu_seconds(CGROUP), usage.ru_maxrss * 1024, peak.bytes)
    CGROUP.kill()  # connections that a tool keeps for its next run would make that one another measurement
    text = log.read_text(errors="replace")
    if process.returncode not in codes:
        raise BenchError(f"{' '.join(argv)} exited with {process.returncode}:\n{_telling(text)}")
    return cost, text


def _telling(output: str) -> str:
    """The lines that speak of errors, else the last ones."""
    lines = output.splitlines()
    errors = [line for line in lines if re.search(r"error|fatal|FAILED|UNREACHABLE", line)]
    return "\n".join(errors[:20] or lines[-20:])


def cpu_seconds(cgroup: Cgroup) -> float:
    """Processor time that all processes of a control group have taken, also those that have ended."""
    usage = CPU_V1 / cgroup.path / "cpuacct.usage"
    if usage.exists():
        return int(usage.read_text()) / 1e9
    lines = (line.split() for line in (CPU_V2 / cgroup.path / "cpu.stat").read_text().splitlines())
    return next(int(value) for name, value in lines if name == "usage_usec") / 1e6


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        int(statistics.median(cost.memory for cost in costs)),
        int(statistics.median(cost.together for cost in costs)),
    )
