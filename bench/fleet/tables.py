"""The tables of a campaign: what each tool took at each size, what each host more costs, and how many times wxops."""

from __future__ import annotations

from collections.abc import Sequence

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
    return [*(f"{value:.1f} s" if value else "-" for value in _times(each)), f"{_memory(each) / MB:.0f} MB"]


def _times(each: Measured) -> list[float | None]:
    """Wall and processor seconds of both runs."""
    return [value for cost in (each.first, each.second) for value in ((cost.wall, cost.cpu) if cost else (None, None))]


def _memory(each: Measured) -> int:
    return max(cost.together for cost in (each.first, each.second) if cost)


def _growth(small: Measured, large: Measured) -> list[str]:
    """What one host more costs, between the smallest size and the largest."""
    more = large.hosts - small.hosts
    pairs = zip(_times(small), _times(large), strict=True)
    times = ["-" if few is None or many is None else f"{(many - few) / more * 1000:.0f} ms" for few, many in pairs]
    return [*times, f"{(_memory(large) - _memory(small)) / more / MB:.2f} MB"]


def _ratios(found: Sequence[Measured]) -> str:
    own = {each.hosts: each for each in found if each.tool == "wxops"}
    others = [each for each in found if each.tool != "wxops" and each.hosts in own]
    rows = [[each.tool, str(each.hosts), *_against(each, own[each.hosts])] for each in others]
    return table([HEADER, *sorted(rows, key=lambda row: row[0])])


def _against(each: Measured, own: Measured) -> list[str]:
    pairs = zip([*_times(each), _memory(each)], [*_times(own), _memory(own)], strict=True)
    return ["-" if value is None or base is None else f"{value / base:.1f}" for value, base in pairs]


def evidence(text: str) -> str:
    """The page that keeps the last complete campaign."""
    return f"""# Bench: from 10 hosts to 500

Written by `make bench-fleet`; all figures are of one campaign. The hosts are light ones: one sshd each, with a file
system and processes of its own, all on the controller's own cores, so that wall times hold the hosts' work too. CPU and
memory are those of the controller with everything that a tool starts there; memory is what all its processes had of
their own at the worst moment, pages that forks share counted once. Every run begins without open connections. A
tool's figures count only after proof: `bench/fleet/state.py` looks at every host's files from outside, and a second run
reports no change. ansible-core runs with pipelining, its quickest plain way, and 50 forks; wxops and pyinfra on their
defaults; all of them wait 60 s for a login. Beyond 200 hosts only ansible-core's second run is measured. "each more" is
what one host more costs between the smallest size and the largest.

```
{text}
```
"""
