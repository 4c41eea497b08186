"""Running apt-get: what it would do, doing it, and what versions there are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.lock import DPKG, wait_for
from wxops.agent.debian.policy_rc_d import policy
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import state_directory
from wxops.agent.process import Completed, run

if TYPE_CHECKING:
    from typing import IO, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    Output = Optional[Callable[[int, bytes], None]]

STEP = re.compile(r"^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?", re.MULTILINE)
TAIL_S = 0.2


def environment() -> Dict[str, str]:
    """No questions, no restarts of services behind the operator's back, messages that can be read by a program.

    A task's own `environment:` has the last word.
    """
    defaults = {
        "DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "LC_ALL": "C.UTF-8", "LANGUAGE": "C",
        "APT_LISTCHANGES_FRONTEND": "none", "UCF_FORCE_CONFFOLD": "1", "NEEDRESTART_SUSPEND": "1",
    }  # fmt: skip
    if "NEEDRESTART_MODE" in os.environ:
        del defaults["NEEDRESTART_SUSPEND"]
    return {name: value for name, value in defaults.items() if name in ("LC_ALL", "LANGUAGE") or name not in os.environ}


class Simulation:
    """What apt-get would do. `wanted`: package -> version that it would have, or None for one that would go;

    `purged`: those whose configuration would go as well.
    """

    def __init__(self, done: Completed) -> None:
        self.done = done
        self.wanted: Dict[str, Optional[str]] = {}
        self.purged = set()
        for verb, name, _, version in STEP.findall(done.stdout):
            self.wanted[dpkg.key(name)] = version if verb == "Inst" else None
            if verb == "Purg":
                self.purged.add(dpkg.key(name))


def simulate(arguments: Sequence[str], files: Sequence[str] = ()) -> Simulation:
    """Ask apt-get what it would do; the simulation's `done.rc` tells whether it could.

    files: options that make apt read other state files than the host's.
    """
    return Simulation(run(["apt-get", "-s", "-y", *files, *arguments], environment=environment()))


class Transaction:
    """One run of apt-get that changes packages; `done` afterwards. It comes to its end even if this agent is killed:

    its output goes to files without a name, not to pipes that would break.
    """

    def __init__(
        self, arguments: Sequence[str], policy_script: Optional[str], lock_timeout: float, output: Output
    ) -> None:
        self.arguments, self.policy_script = list(arguments), policy_script
        self.lock_timeout, self.output = lock_timeout, output
        self.notes: List[str] = []
        self.done: Optional[Completed] = None

    def wait(self) -> None:
        """Until nobody else changes packages. Raises ModuleFailure, which says who does, after `lock_timeout` s."""
        waited = wait_for(DPKG, self.lock_timeout, self._say)
        self.notes += [waited] if waited else []

    def run(self) -> None:
        """Raises ModuleFailure when apt-get does not succeed."""
        argv = ["apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=%d" % self.lock_timeout,
                *self.arguments]  # fmt: skip
        with policy(self.policy_script):
            self.done = run_to_the_end(argv, self.output)
        if self.done.rc != 0:
            raise failure(self.done)

    def _say(self, text: str) -> None:
        if self.output is not None:
            self.output(2, text.encode() + b"\n")


def run_to_the_end(argv: Sequence[str], output: Output) -> Completed:
    """Run a command that nothing cuts short: neither Ctrl-C nor the death of this agent or its connection."""
    start = time.time()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, own_lock() as lock:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, pass_fds=[lock],
            env=dict(os.environ, **environment()),
        )  # fmt: skip
        shown = {1: 0, 2: 0}
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(None if output is None else TAIL_S)
            for number, file in ((1, out), (2, err)):
                shown[number] += _show(file, number, shown[number], output)
            if process.returncode is not None:
                out.seek(0)
                err.seek(0)
                return Completed(argv, process.returncode, out.read(), err.read(), start, time.time())


@contextlib.contextmanager
def own_lock() -> Iterator[int]:
    """A lock that lives as long as an apt-get of ours: one that outlived its agent may not yet hold dpkg's."""
    os.makedirs(state_directory(), mode=0o700, exist_ok=True)
    with open(os.path.join(state_directory(), "apt-lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def failure(done: Completed) -> ModuleFailure:
    """apt-get's own words, and where it was at."""
    told = [line[3:] for line in done.stderr.splitlines() if line.startswith("E: ")]
    return ModuleFailure("; ".join(told) or "%s ended with %d" % (done.argv[0], done.rc), **done.result())


def known_versions(names: Sequence[str]) -> Dict[str, Tuple[Optional[str], List[str]]]:
    """What apt's sources offer of these packages: package -> candidate and all versions, newest first.

    A package that no source has is left out.
    """
    return parse_policy(run(["apt-cache", "policy", "--", *names], environment=environment()).stdout)


def known_names() -> List[str]:
    """Every package name in apt's sources."""
    return run(["apt-cache", "pkgnames"], environment=environment()).stdout.split()


def parse_policy(text: str) -> Dict[str, Tuple[Optional[str], List[str]]]:
    """`apt-cache policy` writes a version and, further in, the sources that have it; dpkg's own file is none."""
    found = {}
    for block in re.split(r"\n(?=\S)", text):
        candidate = re.search(r"^  Candidate: (\S+)", block, re.MULTILINE)
        table = re.findall(r"^ (?:\*\*\*|   ) (\S+) -?\d+\n((?:        .*\n?)*)", block, re.MULTILINE)
        versions = [version for version, sources in table if re.search(r"^ +-?\d+ (?!/var/lib/dpkg)", sources, re.M)]
        if versions and candidate is not None:
            offered = candidate.group(1)
            found[block.partition(":\n")[0]] = (None if offered == "(none)" else offered, versions)
    return found


def _show(file: IO[bytes], number: int, start: int, output: Output) -> int:
    """Show the whole lines that came since; how many bytes that was."""
    if output is None:
        return 0
    new = os.pread(file.fileno(), 1 << 20, start)
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.splitlines(True):
        output(number, line)
    return len(whole)
