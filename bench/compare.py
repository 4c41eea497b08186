"""The common work on four hosts, cold (hosts just reset) and warm (nothing to change), by every tool in turn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError, Cost, median, run
from bench.proof import differences, state
from bench.tools import Targets, Tool
from wxops.lab import Lab

WORK = Path(__file__).parent / "provision"
HOSTS = 4
TASKS = 14  # of site.yml, with the gathering of facts; the handler runs when something changed


@dataclass(frozen=True)
class Figures:
    """What a tool took: medians, and over how many runs."""

    tool: Tool
    cold: Cost
    warm: Cost


def compare(lab: Lab, tools: list[Tool], folder: Path, say: Callable[[str], None]) -> list[Figures]:
    """Every tool does the same work on hosts that are alike. BenchError when one leaves another state than the rest."""
    found: list[Figures] = []
    first: dict[str, str] | None = None
    for tool in tools:
        directory = folder / tool.name.replace(" ", "-").replace(",", "")
        shutil.copytree(WORK, directory)
        cold = []
        for _ in range(tool.cold_runs):
            for host in lab.hosts:
                lab.reset(host.name)
            cost, changes = _once(tool, lab, directory)
            cold.append(cost)
            left = state(lab.hosts)
            first = first or left
            _require(changes > 0, f"{tool.name} says that it changed nothing on fresh hosts")
            _require(
                left == first, f"{tool.name} leaves another state than {tools[0].name}:\n{differences(first, left)}"
            )
        say(f"{tool.name}: cold {median(cold).wall:.2f} s; the hosts' state is as it should be")
        warm = [_unchanged(tool, lab, directory) for _ in range(tool.warm_runs)]
        say(f"{tool.name}: warm {median(warm).wall:.2f} s; nothing changed")
        found.append(Figures(tool, median(cold), median(warm)))
    return found


def _once(tool: Tool, lab: Lab, directory: Path) -> tuple[Cost, int]:
    home = {"ANSIBLE_HOME": str(directory / ".ansible"), "XDG_STATE_HOME": str(directory / ".state")}
    cost, output = run(tool.argv(Targets.of(lab), directory), directory, {**home, **tool.environment})
    return cost, tool.changes(output)


def _unchanged(tool: Tool, lab: Lab, directory: Path) -> Cost:
    cost, changes = _once(tool, lab, directory)
    _require(changes == 0, f"{tool.name} says that its second run changed {changes} things")
    return cost


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BenchError(otherwise)


@dataclass(frozen=True)
class Wire:
    """What a warm run of wxops puts on the wire, a host. bursts: round trips."""

    bursts: float
    sent: float
    received: float


def wire(folder: Path) -> Wire:
    """From the record of the last run of wxops."""
    last = max((folder / "wxops" / ".state" / "wxops" / "runs").glob("*/run.json"))
    traffic = json.loads(last.read_text())["traffic"]
    return Wire(*(traffic[name] / HOSTS for name in ("bursts", "sent", "received")))
