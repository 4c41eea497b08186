"""How much memory and time the controller takes for 200 hosts at once."""

from __future__ import annotations

import re
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
    patience = ("-T", "60")  # 200 hosts share the controller's cores: a login may wait for its turn
    argv = [str(WXOPS), "run", "-i", str(lab.light_inventory), *patience, PLAYBOOK.name]
    cost, output = run(argv, directory, {"XDG_STATE_HOME": str(directory / ".state")})
    if len(re.findall(r"unreachable=0 +failed=0", output)) != HOSTS:
        raise BenchError(f"not all {HOSTS} light hosts were played")
    return cost
