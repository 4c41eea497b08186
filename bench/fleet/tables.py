"""The tables of a campaign: what each tool took at each size, what each host more costs, and how many times wxops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.fleet.campaign import TASKS, Measured
from bench.report import machine, table

HEADER = ["", "hosts", "1st wall", "1st CPU", "2nd wall", "2nd CPU", "memory"]
MB = 1e6


def tables(found: Sequence[Measured]) -> str:
    """All that is printed."""
    title = f"bench/fleet/site.yml: {TASKS} tasks without facts; the first run changes every host, the second none"
    return f"{machine()}\n\n{title}\n{_figures(found)}\n\ntimes what wxops takes\n{_ratios(found)}"


def _figures(found: Sequence[Measured]) -> str:
    rows = [HEADER]
    for tool in dict.fromkeys(each.tool for each in found):
        own = [each for each in found if each.tool == tool]
        rows += [[tool if each is own[0] else "", str(each.hosts), *_row(each)] for each in own]
        if len(own) > 1:
            rows.append(["", "each more", *_growth(own[0], own[-1])])
    return table(rows)


def _row(each: Measured) -> list[str]:
    times = [f"{value:.1f} s" for cost in (each.first, each.second) for value in (cost.wall, cost.cpu)]
    return [*times, f"{_memory(each) / MB:.0f} MB"]


def _memory(each: Measured) -> int:
    return max(each.first.together, each.second.together)


def _growth(small: Measured, large: Measured) -> list[str]:
    """What one host more costs, between the smallest size and the largest."""
    more = large.hosts - small.hosts

    def of(value: Callable[[Measured], float], scale: float) -> float:
        return (value(large) - value(small)) / more * scale

    milliseconds = [of(value, 1000) for value in TIMES]
    return [*(f"{value:.0f} ms" for value in milliseconds), f"{of(_memory, 1 / MB):.2f} MB"]


TIMES: tuple[Callable[[Measured], float], ...] = (
    lambda each: each.first.wall, lambda each: each.first.cpu,
    lambda each: each.second.wall, lambda each: each.second.cpu,
)  # fmt: skip


def _ratios(found: Sequence[Measured]) -> str:
    own = {each.hosts: each for each in found if each.tool == "wxops"}
    rows = [
        [each.tool, str(each.hosts), *(f"{value(each) / value(own[each.hosts]):.1f}" for value in (*TIMES, _memory))]
        for each in sorted(found, key=lambda each: each.tool) if each.tool != "wxops" and each.hosts in own
    ]  # fmt: skip
    return table([HEADER, *rows])


def evidence(text: str) -> str:
    """The page that keeps the last complete campaign."""
    return f"""# Bench: from 10 hosts to 500

Written by `make bench-fleet`; all figures are of one campaign. The hosts are light ones: one sshd each, with a file
system and processes of its own, all on the controller's own cores, so that wall times hold the hosts' work too. CPU and
memory are those of the controller with everything that a tool starts there; memory is what all its processes had of
their own at the worst moment, pages that forks share counted once. Every run begins without open connections. A
tool's figures count only after proof: `bench/fleet/state.py` looks at every host's files from outside, and a second run
reports no change. ansible-core runs with pipelining, its quickest plain way, and 50 forks; wxops and pyinfra on their
defaults; all of them wait 60 s for a login. "each more" is what one host more costs between the smallest size and the
largest.

```
{text}
```
"""
