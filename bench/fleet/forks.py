"""`python -m bench.fleet.forks [HOSTS...]`: which default of `forks` is right, about 8 minutes.

Two kinds of work, by wxops alone: site.yml with nothing to change, which takes the processors that controller and light
hosts share here; and five tasks that take a second of the host's time and of nobody's processor, as packages, downloads
and restarts do on real hosts.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.fleet.__main__ import LAB, SUBNET
from bench.fleet.campaign import PATIENCE_S, WORK
from bench.measure import Cost, run
from bench.report import machine, table
from bench.tools import WXOPS
from wxops.lab import Lab
from wxops.lab.inventory import write_inventory

SIZES = (50, 200, 500)
FORKS = (25, 50, 100, 200, 500)
SLOW = """
- hosts: all
  gather_facts: false
  tasks:
    - {command: sleep 1, changed_when: false}
    - {command: sleep 1, changed_when: false}
    - {command: sleep 1, changed_when: false}
    - {command: sleep 1, changed_when: false}
    - {command: sleep 1, changed_when: false}
"""


def main(sizes: Sequence[int]) -> int:
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up_light(max(sizes))
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            rows = list(_rows(lab, sizes, Path(folder)))
    finally:
        lab.down()
    header = ["hosts", "forks", "site.yml wall", "CPU", "memory", "slow tasks wall", "CPU", "memory"]
    print(f"{machine()}\n\n{table([header, *rows])}")
    return 0


def _rows(lab: Lab, sizes: Sequence[int], folder: Path) -> Iterator[list[str]]:
    (folder / "site.yml").write_text((WORK / "site.yml").read_text())
    (folder / "slow.yml").write_text(SLOW)
    for size in sizes:
        places = {host.name: (host.address, host.port) for host in lab.light_hosts[:size]}
        write_inventory(folder / "hosts.yml", places, lab.key, lab.known_hosts)
        _play(folder, "site.yml", 50)  # after this one nothing changes
        for forks in FORKS:
            if forks // 2 < size:  # of those that are more than there are hosts only the first
                costs = [_play(folder, name, forks) for name in ("site.yml", "slow.yml")]
                yield [str(size), str(forks), *(text for cost in costs for text in _figures(cost))]


def _play(folder: Path, name: str, forks: int) -> Cost:
    argv = [str(WXOPS), "run", "-i", "hosts.yml", "-T", str(PATIENCE_S), "-f", str(forks), name]
    cost, _ = run(argv, folder, {"XDG_STATE_HOME": str(folder / ".state")})
    print(f"{name}, forks {forks}: {cost.wall:.1f} s wall", file=sys.stderr, flush=True)
    return cost


def _figures(cost: Cost) -> list[str]:
    return [f"{cost.wall:.1f} s", f"{cost.cpu:.1f} s", f"{cost.together / 1e6:.0f} MB"]


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]] or SIZES))
