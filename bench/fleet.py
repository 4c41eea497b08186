"""How much memory and time the controller takes for 200 hosts at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError, Cost, run
from bench.tools import WXOPS
from wxops.lab import Lab

HOSTS = 200
PLAYBOOK = Path(__file__).parent / "fleet.yml"


@dataclass(frozen=True)
class Fleet:
    """The first run changes every host, the second none."""

    first: Cost
    second: Cost


def measure(lab: Lab, folder: Path) -> Fleet:
    """wxops with its own default of forks; all light hosts run on this machine, so the wall time is theirs too."""
    lab.up_light(HOSTS)
    directory = folder / "fleet"
    directory.mkdir()
    shutil.copy(PLAYBOOK, directory)
    return Fleet(*(_play(lab, directory) for _ in range(2)))


def _play(lab: Lab, directory: Path) -> Cost:
    argv = [str(WXOPS), "run", "-i", str(lab.light_inventory), PLAYBOOK.name]
    cost, output = run(argv, directory, {"XDG_STATE_HOME": str(directory / ".state")})
    if output.count("failed=0") != HOSTS:
        raise BenchError(f"not all {HOSTS} light hosts were played:\n{output[-4000:]}")
    return cost
