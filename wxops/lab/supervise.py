"""Starting a process of the lab in the background: in its control group, off the terminal, its output in a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup

# Joins the control groups that its first argument names, and becomes the command that follows.
ENTER = 'for group in $0; do echo $$ >"$group" || exit; done; exec "$@"'
# Runs a command again for as long as it exits with 133: so systemd-nspawn says that the host inside asked for a reboot.
REPEAT = 'while "$@"; [ $? = 133 ]; do :; done'


def spawn(cgroup: Cgroup, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Start `argv` in `cgroup`, which is made anew; whatever ran there before is ended. It outlives this process."""
    cgroup.kill()
    # Two groups, for cgroup2 gives controllers to a group below one that holds no process itself.
    inside = ["sh", "-c", ENTER, _entrances(cgroup.below("machine")), *argv]
    outside = [
        "sh",
        "-c",
        ENTER,
        _entrances(cgroup.below("power")),
        "setsid",
        "--fork",
        "sh",
        "-c",
        REPEAT,
        cgroup.path,
    ]
    with log.open("w") as output:
        started = subprocess.run(
            [*outside, *inside],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    if started.returncode:
        raise LabError(f"{argv[0]} could not be started in its control group.", where=str(log))


def _entrances(cgroup: Cgroup) -> str:
    cgroup.create()
    return " ".join(str(entrance) for entrance in cgroup.entrances())
