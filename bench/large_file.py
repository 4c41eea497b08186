"""`python -m bench.large_file [GIB]`: one large file to four hosts, by `copy` and by `ssh HOST cat` side by side."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import report
from bench.measure import Cost, run
from bench.tools import WXOPS
from wxops.lab import Lab

LAB, SUBNET, HOSTS = "bench", "10.79.0.0/24", 4
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"copy": {"src": "large", "dest": "/srv/large", "mode": "0640"}},
            {"shell": "grep VmHWM /proc/$PPID/status", "changed_when": False},  # the agent's own peak
        ],
    }
]


def main() -> int:
    size = int(float(sys.argv[1] if sys.argv[1:] else 2) * (1 << 30))
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(HOSTS)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-", dir="/var/tmp") as folder:
            lines = list(_measured(lab, Path(folder), size))
    finally:
        lab.down()
    print("\n".join([report.machine(), "", *lines]))
    return 0


def _measured(lab: Lab, folder: Path, size: int) -> Iterator[str]:
    large = folder / "large"
    with large.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    (folder / "play.yml").write_text(yaml.safe_dump(PLAY))
    argv = [str(WXOPS), "run", "-i", str(lab.inventory), "play.yml", "-v"]
    ssh = _ssh_cat(lab, large)
    first, told = run(argv, folder, {"XDG_STATE_HOME": str(folder / "state")})
    agents = [int(kib) for kib in re.findall(r"VmHWM:\D+(\d+) kB", told)]
    again, _ = run(argv, folder, {"XDG_STATE_HOME": str(folder / "state")})
    yield f"{size / (1 << 30):.2f} GiB to {HOSTS} hosts on this machine's own cores"
    yield f"ssh HOST cat, all at once   {ssh:7.2f} s   {HOSTS * size / ssh / 1e6:6.0f} MB/s"
    yield _line("copy, the hosts lack it", first, size) + f"   {ssh / first.wall:.0%} of ssh's rate (aim: at least 80%)"
    yield _line("copy, the hosts have it", again, size)
    yield f"at their peaks: controller {first.memory / 1e6:.0f} MB, agents {max(agents) / 1e3:.0f} MB"


def _line(name: str, cost: Cost, size: int) -> str:
    return f"{name:27} {cost.wall:7.2f} s   {HOSTS * size / cost.wall / 1e6:6.0f} MB/s   {cost.cpu:5.1f} s CPU"


def _ssh_cat(lab: Lab, large: Path) -> float:
    """Seconds until the last of the hosts has it on its disk."""
    known = ("-o", f"UserKnownHostsFile={lab.folder / 'known_hosts'}", "-i", str(lab.folder / "id_ed25519"))
    started = time.perf_counter()
    copies = []
    for host in lab.hosts:
        argv = ["ssh", *known, f"root@{host.address}", "cat >/srv/by-ssh && sync /srv/by-ssh && rm /srv/by-ssh"]
        with large.open("rb") as file:
            copies.append(subprocess.Popen(argv, stdin=file))
    for copy in copies:
        if copy.wait() != 0:
            raise SystemExit("ssh cat failed")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
