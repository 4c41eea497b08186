"""The same work by every tool on more and more light hosts: a first run that changes them, then one that does not.

All light hosts run on the controller's own cores, so wall times are theirs too; processor time and memory are the
controller's alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fleet.state import require_done, take_away
from bench.measure import BenchError, Cost, run
from bench.tools import Ansible, Pyinfra, Targets, Tool, Wxops
from wxops.lab import Lab
from wxops.lab.inventory import write_inventory
from wxops.lab.light import LightHost

SIZES = (10, 50, 200, 500)
WORK = Path(__file__).parent
TASKS = 7
CHANGES = 4  # on each host, the first time
MOST_FIRST_OF_ANSIBLE = 200  # beyond, its first run is left out: the campaign is to end within half an hour
PATIENCE_S = 60  # hundreds of hosts share the controller's cores: a login may wait for its turn

# Pipelining is ansible-core's quickest plain way over SSH, at about a third of the time that its defaults take.
PLAIN = {"ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"}
TOOLS: tuple[Tool, ...] = (
    Wxops("wxops", options=("-T", str(PATIENCE_S))),
    Pyinfra("pyinfra", options=("--config", f"CONNECT_TIMEOUT={PATIENCE_S}")),
    Ansible("ansible-core, pipelining, forks 50", options=("-T", str(PATIENCE_S), "-f", "50"), environment=PLAIN),
)


@dataclass(frozen=True)
class Measured:
    """What a tool took for the work on so many hosts. first: None where only the second run was measured."""

    tool: str
    hosts: int
    first: Cost | None
    second: Cost


def campaign(
    lab: Lab, sizes: Sequence[int], tools: Sequence[Tool], folder: Path, say: Callable[[str], None]
) -> Iterator[Measured]:
    """Each tool's figures as they are found. BenchError when one did not do the work, or changes something twice."""
    every = lab.up_light(max(sizes))
    say(f"{len(every)} light hosts are up")
    for size in sizes:
        hosts = every[:size]
        for tool in tools:
            found = _measured(lab, hosts, tool, folder / f"{size}-{tool.name.split(',')[0]}")
            costs = ", ".join(
                f"{cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU" for cost in (found.first, found.second) if cost
            )
            say(f"{size} hosts, {tool.name}: {costs}, {found.second.together / 1e6:.0f} MB; proved")
            yield found


def _measured(lab: Lab, hosts: Sequence[LightHost], tool: Tool, directory: Path) -> Measured:
    directory.mkdir()
    for name in ("site.yml", "deploy.py"):
        shutil.copy(WORK / name, directory)
    targets = _targets(lab, hosts, directory / "hosts.yml")
    if isinstance(tool, Ansible) and len(hosts) > MOST_FIRST_OF_ANSIBLE:  # the tools before it have done the work
        return Measured(tool.name, len(hosts), None, _once(tool, targets, hosts, directory, 0))
    take_away(hosts)
    first, second = (_once(tool, targets, hosts, directory, changes) for changes in (CHANGES * len(hosts), 0))
    return Measured(tool.name, len(hosts), first, second)


def _once(tool: Tool, targets: Targets, hosts: Sequence[LightHost], directory: Path, changes: int) -> Cost:
    home = {"ANSIBLE_HOME": str(directory / ".ansible"), "XDG_STATE_HOME": str(directory / ".state")}
    cost, output = run(tool.argv(targets, directory), directory, {**home, **tool.environment})
    require_done(hosts, tool.name)
    if (told := tool.changes(output)) != changes:
        raise BenchError(f"{tool.name} says that it changed {told} things on {len(hosts)} hosts, not {changes}")
    return cost


def _targets(lab: Lab, hosts: Sequence[LightHost], inventory: Path) -> Targets:
    places = {host.name: (host.address, host.port) for host in hosts}
    write_inventory(inventory, places, lab.key, lab.known_hosts)
    return Targets(inventory, places, lab.key, lab.known_hosts)
