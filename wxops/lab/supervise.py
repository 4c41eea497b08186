"""Starting a process of the lab in the background: in its control group, off the terminal, its output in a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup

# Enters the control groups, then leaves the command running behind: started again for as long as it exits with 133,
# by which systemd-nspawn says that the host inside asked for a reboot.
ENTER = 'for group in $WXOPS_LAB_CGROUPS; do echo $$ >"$group" || exit; done; exec setsid --fork sh -c "$0" "$@"'
REPEAT = 'while "$@"; [ $? = 133 ]; do :; done'


def spawn(cgroup: Cgroup, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Start `argv` in `cgroup`, which is made anew; whatever ran there before is ended. It outlives this process."""
    cgroup.kill()
    cgroup.create()
    groups = " ".join(str(entrance) for entrance in cgroup.entrances())
    with log.open("w") as output:
        started = subprocess.run(
            ["sh", "-c", ENTER, REPEAT, cgroup.path, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "WXOPS_LAB_CGROUPS": groups},
            check=False,
        )
    if started.returncode:
        raise LabError(f"{argv[0]} could not be started in its control group.", where=str(log))
