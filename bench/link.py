"""`python -m bench.link`: what a round trip of 50 ms costs a warm run of the common work, and what it should cost."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import report
from bench.compare import TASKS, WORK
from bench.measure import run
from bench.slow_link import slow_link
from bench.tools import WXOPS
from wxops.lab import Lab

LAB, SUBNET = "bench", "10.79.0.0/24"
ROUND_TRIP = 0.05
RUNS = 5


@dataclass(frozen=True)
class Times:
    """Medians in seconds: `wxops inventory ping` (a connection and an agent), and a warm run of site.yml."""

    ping: float
    site: float


def main() -> int:
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(1)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            shutil.copytree(WORK, Path(folder) / "work")
            near, far = (_measured(lab, Path(folder), round_trip) for round_trip in (0.0, ROUND_TRIP))
    finally:
        lab.down()
    print(f"{report.machine()}\n\n{_table(near, far)}")
    return 0


def _measured(lab: Lab, folder: Path, round_trip: float) -> Times:
    """Over a relay both times, so that only the round trip differs."""
    host = lab.hosts[0]
    with slow_link(str(host.address), 22, round_trip) as port:
        inventory = _inventory(lab, folder, port)
        site = [str(WXOPS), "run", "-i", inventory, "site.yml"]
        ping = [str(WXOPS), "inventory", "ping", "-i", inventory]
        run(site, folder / "work", {"XDG_STATE_HOME": str(folder / "state")})  # after this one nothing changes
        return Times(
            *(statistics.median(run(argv, folder / "work")[0].wall for _ in range(RUNS)) for argv in (ping, site))
        )


def _inventory(lab: Lab, folder: Path, port: int) -> str:
    """The lab's inventory with its host at the relay's port, and its key known there."""
    known = folder / "known_hosts"
    keys = [line.split(None, 1)[1] for line in (lab.folder / "known_hosts").read_text().splitlines() if line.strip()]
    known.write_text("".join(f"[127.0.0.1]:{port} {key}\n" for key in keys))
    listed = yaml.safe_load(lab.inventory.read_text())
    listed["all"]["vars"].update(
        ansible_port=port, ansible_ssh_common_args=f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
    )
    listed["all"]["children"]["gpu"]["hosts"] = {lab.hosts[0].name: {"ansible_host": "127.0.0.1"}}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump(listed))
    return str(path)


def _table(near: Times, far: Times) -> str:
    """far.ping holds the round trips of the connection; on top of it each task may cost one, and its own work."""
    work = near.site - near.ping
    allowed = far.ping + TASKS * ROUND_TRIP + work
    return "\n".join([
        f"a warm run of site.yml on one host, {TASKS} tasks with facts; medians of {RUNS} runs, through a relay",
        f"round trip          {0:6.0f} ms {ROUND_TRIP * 1000:6.0f} ms",
        f"inventory ping      {_row(near.ping, far.ping)}",
        f"site.yml            {_row(near.site, far.site)}",
        f"connection, one round trip a task, and the work: {allowed:.2f} s",
        f"measured against that: {far.site / allowed - 1:+.0%} (aim: at most +20%)",
    ])  # fmt: skip


def _row(near: float, far: float) -> str:
    return f"{near:6.2f} s  {far:6.2f} s   {(far - near) / ROUND_TRIP:.1f} round trips"


if __name__ == "__main__":
    sys.exit(main())
