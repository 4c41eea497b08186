"""One case under both engines: two fresh hosts, the playbook twice on each, and everything held against each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from conformance.fuzz import trees
from conformance.fuzz.deliberate import parted
from conformance.fuzz.engines import FOLDER, INVENTORY, Engine, Ran
from conformance.fuzz.given import give
from conformance.fuzz.hosts import FreshHost, Hosts, fill
from conformance.fuzz.playbooks import Case
from conformance.fuzz.results import Difference, compare, refused

CONTROLLER = Path(__file__).parent / "controller"
RUNS = (1, 2)


@dataclass(frozen=True)
class Tried:
    """What came of a case. ran: each run's (ansible-core, wxops); deliberate: (difference, why it is meant)."""

    case: Case
    ran: tuple[tuple[Ran, Ran], ...]
    differences: tuple[Difference, ...]
    deliberate: tuple[tuple[Difference, str], ...]

    @property
    def refused(self) -> bool:
        """Did neither engine, or wxops alone, run any of it?"""
        return refused(self.ran[0][1])


def attempt(case: Case, hosts: Hosts, engines: dict[str, Engine]) -> Tried:
    """Run a case; the hosts are thrown away."""
    sides = [(engines[name], hosts.make()) for name in ("ansible", "wxops")]
    try:
        for _, host in sides:
            _prepare(host, case)
        ran: list[tuple[Ran, Ran]] = []
        found: list[Difference] = []
        for run in RUNS:
            with ThreadPoolExecutor(len(sides)) as pool:
                theirs, ours = pool.map(lambda side: side[0].run(side[1], [*case.options.split(), "play.yml"]), sides)
            ran.append((theirs, ours))
            found = compare(run, theirs, ours)
            tree = trees.compare(sides[0][1], sides[1][1])
            found += [Difference(run, "tree", path, "", *entry) for path, entry in tree.items()]
            if found:
                break  # the second run would differ for the first one's reason
    finally:
        for _, host in sides:
            host.remove()
    wrong, meant = parted(found, ran[-1], case.text())
    return Tried(case, tuple(ran), tuple(wrong), tuple(meant))


def _prepare(host: FreshHost, case: Case) -> None:
    give(host)
    fill(host, CONTROLLER, FOLDER)
    folder = host.root / FOLDER.lstrip("/")
    (folder / "inventory").write_text(INVENTORY)
    (folder / "play.yml").write_text(case.text())
