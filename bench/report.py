"""The tables that `make bench` prints, and the machine and revision that they hold for."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.compare import HOSTS, TASKS, Figures, Wire
from bench.measure import Cost


def machine() -> str:
    """Where and on what: figures mean nothing without it."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    root = Path(__file__).parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    revision = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "no git"
    return "\n".join([
        f"date      {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}",
        f"revision  {revision}",
        f"machine   {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}",
        f"load      {', '.join(f'{load:.1f}' for load in os.getloadavg())} at its end (1, 5 and 15 minutes)",
        f"python    {platform.python_version()} (controller)",
    ])  # fmt: skip


def comparison(figures: Sequence[Figures]) -> str:
    """Seconds of every tool, and how many times those of wxops they are."""
    own = figures[-1]
    header = ["", "cold wall", "x", "cold CPU", "x", "warm wall", "x", "warm CPU", "x", "runs cold+warm"]
    rows = [[one.tool.name, *_against(one.cold, own.cold), *_against(one.warm, own.warm),
             f"{one.tool.cold_runs}+{one.tool.warm_runs}"] for one in figures]  # fmt: skip
    return table([header, *rows])


def _against(cost: Cost, own: Cost) -> list[str]:
    return [f"{cost.wall:.2f} s", f"{cost.wall / own.wall:.1f}", f"{cost.cpu:.2f} s", f"{cost.cpu / own.cpu:.1f}"]


def own_figures(wire: Wire, help_seconds: float) -> str:
    """What is measured of wxops alone."""
    kilobytes = (wire.sent / 1000, wire.received / 1000)
    return table([
        [f"round trips a host, {TASKS} tasks, warm", f"{wire.bursts:.1f} ({wire.bursts / TASKS:.2f} a task)"],
        ["sent to a host", f"{kilobytes[0]:.1f} kB ({wire.sent / TASKS:.0f} bytes a task, the agent included)"],
        ["received from a host", f"{kilobytes[1]:.1f} kB ({wire.received / TASKS:.0f} bytes a task, facts included)"],
        ["wxops --help", f"{help_seconds * 1000:.0f} ms"],
    ])  # fmt: skip


def whole(figures: Sequence[Figures], wire: Wire, help_seconds: float) -> str:
    """All that is printed."""
    title = f"bench/provision on {HOSTS} hosts; x: times what wxops takes; medians"
    own = own_figures(wire, help_seconds)
    return f"{machine()}\n\n{title}\n{comparison(figures)}\n\nwxops alone\n{own}"


def evidence(tables: str) -> str:
    """The page that keeps the last complete run."""
    return f"""# Bench: provisioning four hosts

Written by `make bench`; all figures are of one run. Each tool does the work of `bench/provision` on lab hosts (real
Debian 12 under systemd-nspawn, on the controller's own cores), cold right after the hosts were reset, and warm with
nothing left to change. A tool's figures count only after proof: `bench/proof.py` finds the same state on every host
whichever tool did the work, and a warm run reports no change. CPU is that of the controller with everything that the
tool starts there. Every run begins without open connections. The peers run from environments of their own, at the
versions that `bench/tools.py` pins, on their defaults but for what the name says. A cold run holds systemd's own
daemon-reload on every host, which no tool can shorten.

```
{tables}
```
"""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first to the left, figures to the right of a table, texts to the left of a pair."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    align = str.ljust if len(widths) == 2 else str.rjust
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(align, row[1:], widths[1:])]).rstrip() for row in rows)
