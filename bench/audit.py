"""`python -m bench.audit [ROUNDS]`: what an audit takes beside a bare `ssh HOST python3 -c pass`, and for 200 hosts.

By default 10 rounds, whose figures are kept in docs/evidence/bench-audit.md.
"""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import report
from bench.measure import BenchError, Cost, cpu_seconds, median, run
from bench.tools import WXOPS
from tests.gpu.place import placed, prepare
from tests.gpu.scenario import Scenario
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET, HOSTS, LIGHT_HOSTS = "bench", "10.79.0.0/24", 4, 200
ROUNDS = 10
AIM = 1.5
SCENARIO = "eight H200 with NVSwitches"
GPUS = 8
JUDGED = (0, 2, 3)
"""Exit codes of an audit that came to its end: lab hosts are no GPU servers, so it may well find what fails there."""
EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence" / "bench-audit.md"


@dataclass(frozen=True)
class Spent:
    """Of one command: its cost here, and the processor seconds that the hosts took meanwhile."""

    here: Cost
    hosts: float


@dataclass
class Rounds:
    """What each round took: the ssh sessions, and the audit right after them."""

    ssh: list[Spent] = field(default_factory=list)
    audit: list[Spent] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return _wall(self.audit) / _wall(self.ssh)


class Bench:
    """The lab's hosts, and the two commands that take turns on them."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        options = f"-o UserKnownHostsFile={lab.known_hosts} -o StrictHostKeyChecking=yes -i {lab.key}"
        sessions = [f'ssh {options} root@{host.address} python3 -c pass & all="$all $!"\n' for host in lab.hosts]
        self.script = folder / "ssh.sh"
        self.script.write_text("".join(sessions) + "for each in $all; do wait $each || exit; done\n")

    def rounds(self, count: int) -> Rounds:
        """In turn, so that what else the machine does meets both alike; after one of each that is not counted."""
        self._ssh(), self._audit()
        found = Rounds()
        for _ in range(count):
            found.ssh.append(self._ssh())
            found.audit.append(self._audit())
        return found

    def _ssh(self) -> Spent:
        return self._spent(["sh", str(self.script)])[0]

    def _audit(self) -> Spent:
        spent, told = self._spent([str(WXOPS), "audit", "-i", str(self.lab.inventory)])
        _require_answers(told, HOSTS)
        return spent

    def _spent(self, argv: Sequence[str]) -> tuple[Spent, str]:
        before = cpu_seconds(self.lab.cgroup)
        cost, told = run(argv, self.folder, codes=JUDGED if argv[0] == str(WXOPS) else (0,))
        return Spent(cost, cpu_seconds(self.lab.cgroup) - before), told

    def require_gpus(self, count: int) -> None:
        """BenchError unless every host's record holds so many GPUs: an audit that read nothing would be quick."""
        argv = [str(WXOPS), "audit", "-i", str(self.lab.inventory), "--json"]
        hosts = json.loads(run(argv, self.folder, codes=JUDGED)[1])["hosts"]
        found = [len(((host["record"].get("nvidia") or {}).get("gpus") or {}).get("value") or []) for host in hosts]
        if found != [count] * HOSTS:
            raise BenchError(f"the hosts have {count} GPUs each, and the audit read {found}")

    def light(self) -> Iterator[Cost]:
        """A first and a second audit: in the first one apt builds its cache on each host, a second of processor time.

        The hosts share the controller's cores: a login may wait for its turn.
        """
        self.lab.up_light(LIGHT_HOSTS)
        argv = [str(WXOPS), "audit", "-i", str(self.lab.light_inventory), "-T", "60"]
        for _ in range(2):
            cost, told = run(argv, self.folder, codes=JUDGED)
            _require_answers(told, LIGHT_HOSTS)
            yield cost


def _require_answers(told: str, hosts: int) -> None:
    """The audit's last line counts the hosts, and those without an answer."""
    if not re.match(rf"{hosts} hosts in [\d.]+ s: ", told.strip().splitlines()[-1]):
        raise BenchError(f"not all {hosts} hosts answered:\n{told[-2000:]}")


def main() -> int:
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(HOSTS)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-") as folder:
            lines = list(_measured(Bench(lab, Path(folder)), rounds))
    except (BenchError, WxopsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    text = "\n".join(
        [report.machine(), f"command   python -m bench.audit {' '.join(sys.argv[1:])}".rstrip(), "", *lines]
    )
    print(text)
    if not sys.argv[1:]:
        EVIDENCE.write_text(_evidence(text))
    return 0


def _measured(bench: Bench, rounds: int) -> Iterator[str]:
    yield f"{HOSTS} hosts at once, medians of {rounds} rounds in turn"
    bench.require_gpus(0)
    yield from _lines("no GPU", bench.rounds(rounds))
    (scenario,) = (each for each in Scenario.all() if each.name == SCENARIO)
    with contextlib.ExitStack() as placements:
        for host in bench.lab.hosts:
            prepare(host)
            placements.enter_context(placed(scenario, host))
        bench.require_gpus(GPUS)
        yield from _lines("eight H200 a host", bench.rounds(rounds))
    yield ""
    for name, cost in zip(("first", "second"), bench.light(), strict=True):
        figures = f"{cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU, {cost.memory / 1e6:.0f} MB at its peak"
        yield f"{LIGHT_HOSTS} light hosts, {name} audit: {figures}"


def _lines(name: str, found: Rounds) -> Iterator[str]:
    yield ""
    yield _line("ssh HOST python3 -c pass", found.ssh)
    yield _line(f"wxops audit, {name}", found.audit)
    yield f"the audit takes {found.ratio:.2f} times as long (aim: under {AIM})"


def _line(name: str, spent: Sequence[Spent]) -> str:
    here, hosts = median([each.here for each in spent]), statistics.median(each.hosts for each in spent)
    return f"{name:30} {here.wall:6.2f} s wall   CPU {here.cpu:5.2f} s here, {hosts:5.2f} s on the hosts"


def _wall(spent: Sequence[Spent]) -> float:
    return statistics.median(each.here.wall for each in spent)


def _evidence(text: str) -> str:
    """The page that keeps the last complete run."""
    return f"""# Bench: an audit

Written by `make bench-audit`. On {HOSTS} lab hosts (real Debian 12 under systemd-nspawn, on the controller's own cores)
`wxops audit -i INVENTORY` and one `ssh HOST python3 -c pass` a host, all at once, take turns, so that what else the
machine does meets both alike; each from a new process, without open connections. Then the same with the scenario
"{SCENARIO}" of tests/gpu on each host: a simulated libnvidia-ml.so.1, CUDA, PyTorch and Docker's parts as files. An
audit counts only when every host answered, and its record held the GPUs that were placed.

```
{text}
```
"""


if __name__ == "__main__":
    sys.exit(main())
