"""`python -m bench.large_file [GIB [ROUNDS]]`: one large file to four hosts, by `copy` and by `ssh HOST cat`, in turn.

By default 2 GiB and 3 rounds, which are kept in docs/evidence/bench-large-file.md.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import report
from bench.measure import BenchError, Cost, cpu_seconds, median, run
from bench.tools import WXOPS
from wxops.errors import WxopsError
from wxops.lab import Lab

LAB, SUBNET, HOSTS = "bench", "10.79.0.0/24", 4
GIB, ROUNDS = 2.0, 3
EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence" / "bench-large-file.md"
COPY: dict[str, Any] = {"copy": {"src": "large", "dest": "/srv/large", "mode": "0640"}}
AGENT_PEAK = {"shell": "grep VmHWM /proc/$PPID/status", "changed_when": False}
TASKS_BESIDE = 20
CLOCK = {"shell": "date +%s.%N", "changed_when": False}


@dataclass(frozen=True)
class Sent:
    """What one way to send the file cost: this side, and the processor seconds of the hosts."""

    here: Cost
    hosts: float


class Bench:
    """One file, the lab's hosts, and the ways to bring it there."""

    def __init__(self, lab: Lab, folder: Path, size: int) -> None:
        self.lab, self.folder, self.size = lab, folder, size
        self.large = folder / "large"
        with self.large.open("wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))

    def ssh_cat(self) -> Sent:
        """Until the last of the hosts has it on its disk, with what OpenSSH chooses by itself."""
        known = f"-o UserKnownHostsFile={self.lab.known_hosts} -i {self.lab.key}"
        there = "cat >/srv/by-ssh && sync /srv/by-ssh"
        copies = [f"ssh {known} root@{host.address} '{there}' <large & all=\"$all $!\"\n" for host in self.lab.hosts]
        script = self.folder / "ssh.sh"
        script.write_text("".join(copies) + "for each in $all; do wait $each || exit; done\n")
        return self._cost(["sh", str(script)])[0]

    def copy(self) -> tuple[Sent, str]:
        return self._play([{"hosts": "all", "gather_facts": False, "tasks": [COPY, AGENT_PEAK]}])

    def again_after_a_cut(self) -> tuple[float, Sent]:
        """Kill the controller about half way. What part of the file another run still sends, and its cost."""
        with subprocess.Popen(self._argv(), cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL) as first:
            while any(self._draft(host.root) < self.size // 2 for host in self.lab.hosts) and first.poll() is None:
                time.sleep(0.02)
            first.kill()
        sent, _ = self.copy()
        records = (self.folder / "state").rglob("run.json")
        last = max(records, key=lambda path: path.stat().st_mtime)
        return json.loads(last.read_text())["traffic"]["sent"] / (HOSTS * self.size), sent

    def tasks_beside(self) -> tuple[float, float]:
        """Seconds until one host is through its tasks while the others receive, and until these have the file."""
        first = self.lab.hosts[0].name
        tasks = [{**COPY, "when": f"inventory_hostname != '{first}'"}, *[{"command": "true"}] * TASKS_BESIDE, CLOCK]
        started = time.time()
        _, told = self._play([{"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": tasks}], "jsonl")
        events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        ended = {each["host"]: float(each["result"]["stdout"]) for each in events
                 if each["event"] == "task" and each["module"] == "shell"}  # fmt: skip
        return ended.pop(first) - started, min(ended.values()) - started

    def clean(self) -> None:
        for host in self.lab.hosts:
            host.ssh("rm -rf /srv/large /srv/.large.wxops-new /srv/by-ssh /var/lib/wxops; sync")

    def _draft(self, root: Path) -> int:
        draft = root / "srv/.large.wxops-new"
        return draft.stat().st_size if draft.exists() else 0

    def _play(self, plays: list[dict[str, Any]], output: str = "plain") -> tuple[Sent, str]:
        (self.folder / "play.yml").write_text(yaml.safe_dump(plays))
        return self._cost([*self._argv(), "--output", output, "-v"])

    def _argv(self) -> list[str]:
        return [str(WXOPS), "run", "-i", str(self.lab.inventory), "play.yml"]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}

    def _cost(self, argv: list[str]) -> tuple[Sent, str]:
        before = cpu_seconds(self.lab.cgroup)
        cost, told = run(argv, self.folder, {"XDG_STATE_HOME": str(self.folder / "state")})
        return Sent(cost, cpu_seconds(self.lab.cgroup) - before), told


def main() -> int:
    gib = float(sys.argv[1]) if sys.argv[1:] else GIB
    rounds = int(sys.argv[2]) if sys.argv[2:] else ROUNDS
    lab = Lab(LAB, SUBNET)
    try:
        lab.down()
        lab.up(HOSTS)
        with tempfile.TemporaryDirectory(prefix="wxops-bench-", dir="/var/tmp") as folder:
            lines = list(_measured(Bench(lab, Path(folder), int(gib * (1 << 30))), rounds))
    except (BenchError, WxopsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    text = "\n".join([report.machine(), "", *lines])
    print(text)
    if not sys.argv[1:]:
        EVIDENCE.write_text(_evidence(text))
    return 0


def _measured(bench: Bench, rounds: int) -> Iterator[str]:
    ssh, ours, peaks = [], [], []
    for _ in range(rounds):
        bench.clean()
        ssh.append(bench.ssh_cat())
        bench.clean()
        sent, told = bench.copy()
        ours.append(sent)
        peaks += [int(kib) for kib in re.findall(r"VmHWM:\D+(\d+) kB", told)]
        yield _line("ssh HOST cat, all at once", ssh[-1], bench.size)
        yield _line("copy, the hosts lack it", sent, bench.size)
    again, _ = bench.copy()
    yield _line("copy, the hosts have it", again, bench.size)
    bench.clean()
    part, resumed = bench.again_after_a_cut()
    yield _line("copy, after a cut", resumed, bench.size) + f"   {part:.0%} of the bytes were sent"
    bench.clean()
    beside, file = bench.tasks_beside()
    yield ""
    yield f"medians of {rounds} rounds: copy reaches {_wall(ssh) / _wall(ours):.0%} of ssh's rate (aim: at least 80%)"
    yield f"{TASKS_BESIDE} tasks on one host: done after {beside:.1f} s, the others had the file after {file:.1f} s"
    memory = median([each.here for each in ours]).memory
    yield f"memory at the peaks: controller {memory / 1e6:.0f} MB, agents {max(peaks) / 1e3:.0f} MB"


def _wall(sent: list[Sent]) -> float:
    return statistics.median(each.here.wall for each in sent)


def _line(name: str, sent: Sent, size: int) -> str:
    wall = sent.here.wall
    rate = HOSTS * size / wall / 1e6
    return (
        f"{name:26} {wall:7.2f} s {rate:6.0f} MB/s   CPU {sent.here.cpu:5.1f} s here, {sent.hosts:5.1f} s on the hosts"
    )


def _evidence(text: str) -> str:
    """The page that keeps the last complete run."""
    return f"""# Bench: a large file

Written by `python -m bench.large_file`: one file to {HOSTS} lab hosts at once, which share the controller's own cores
and disk. `ssh HOST cat` and `copy` take turns, each until the hosts have synced it to their disks. OpenSSH takes the
cipher that it prefers itself; `copy` reads the file for its SHA-256 first, and every host hashes what it receives.

```
{text}
```
"""


if __name__ == "__main__":
    sys.exit(main())
