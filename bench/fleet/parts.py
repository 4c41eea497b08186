"""`python -m bench.fleet.parts`: where the processor time of a run goes, found by what more hosts and tasks add to it.

Processor time hardly changes with what else the machine does; wall time would. docs/performance.md holds the result.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fleet.__main__ import LAB, SUBNET
from bench.fleet.campaign import PATIENCE_S
from bench.measure import cpu_seconds, run
from bench.report import machine, table
from bench.tools import WXOPS
from wxops.lab import Lab
from wxops.lab.inventory import write_inventory

FEW, MANY, MORE_TASKS = 5, 45, 20
LOOK = {"stat": {"path": "{{ root }}/{{ inventory_hostname }}"}, "when": "root is defined", "register": "looked"}
REMEMBER = {"set_fact": {"known": "{{ looked.stat.exists }}"}, "when": ["looked is defined", "root != ''"]}


@dataclass(frozen=True)
class Taken:
    """Of one run: processor seconds of the controller and of all hosts; bytes both ways and round trips."""

    controller: float
    hosts: float
    bytes: int
    bursts: int

    def each(self, less: Taken, count: int) -> list[str]:
        """What one of `count` things took that this run has and that one has not."""
        controller, hosts = ((mine - its) / count * 1000 for mine, its in
                             ((self.controller, less.controller), (self.hosts, less.hosts)))  # fmt: skip
        sent, bursts = (self.bytes - less.bytes) / count, (self.bursts - less.bursts) / count
        return [f"{controller:.2f} ms", f"{hosts:.1f} ms", f"{sent:.0f}", f"{bursts:.1f}"]


def main() -> int:
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up_light(MANY)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            rows = list(_rows(lab, Path(folder)))
    finally:
        lab.down()
    print(f"{machine()}\n\n{table([['', 'controller CPU', 'CPU of the host', 'bytes', 'round trips'], *rows])}")
    return 0


def _rows(lab: Lab, folder: Path) -> Iterator[list[str]]:
    _taken(lab, folder, FEW, [LOOK])  # bytecode that is kept for the next run is made once
    few, many = (_taken(lab, folder, hosts, [LOOK]) for hosts in (FEW, MANY))
    looks = _taken(lab, folder, MANY, [LOOK] * (1 + MORE_TASKS))
    facts = _taken(lab, folder, MANY, [LOOK, *[REMEMBER] * MORE_TASKS])
    start = few.controller - FEW * (many.controller - few.controller) / (MANY - FEW)
    yield ["the run: start, inventory, playbook, record", f"{start * 1000:.0f} ms", "-", "-", "-"]
    yield ["each host: login, agent, its first task, goodbye", *many.each(few, MANY - FEW)]
    yield ["each task on a host: templates, condition, result", *looks.each(many, MANY * MORE_TASKS)]
    yield ["each task of the controller alone (set_fact)", *facts.each(many, MANY * MORE_TASKS)]


def _taken(lab: Lab, folder: Path, hosts: int, tasks: Sequence[object]) -> Taken:
    places = {host.name: (host.address, host.port) for host in lab.light_hosts[:hosts]}
    write_inventory(folder / "hosts.yml", places, lab.key, lab.known_hosts)
    play = {"hosts": "all", "gather_facts": False, "vars": {"root": "/srv"}, "tasks": tasks}
    (folder / "site.yml").write_text(json.dumps([play]))
    before = cpu_seconds(lab.cgroup)
    argv = [str(WXOPS), "run", "-i", "hosts.yml", "-T", str(PATIENCE_S), "site.yml"]
    cost, _ = run(argv, folder, {"XDG_STATE_HOME": str(folder / ".state")})
    last = max((folder / ".state" / "wxops" / "runs").glob("*/run.json"))
    traffic = json.loads(last.read_text())["traffic"]
    sent = traffic["sent"] + traffic["received"]
    return Taken(cost.cpu, cpu_seconds(lab.cgroup) - before, sent, traffic["bursts"])


if __name__ == "__main__":
    sys.exit(main())
