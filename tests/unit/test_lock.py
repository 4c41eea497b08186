"""One run at a time on a host, and a lock that goes with its holder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wxops.agent.lock import HostLock

HOLD = """
import sys
from wxops.agent.lock import HostLock
assert HostLock(sys.argv[1]).take({"run": "first"}) is None
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_run_is_told_of_the_first_until_that_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "state")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    second = HostLock(str(tmp_path / "state"))
    assert second.take({"run": "second"}) == {"run": "first"}
    assert HostLock(str(tmp_path / "state")).take({"run": "first"}) is None, "another agent of the same run"
    holder.kill()
    holder.communicate()
    assert second.take({"run": "second"}) is None
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
