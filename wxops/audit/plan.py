"""The smallest set of upgrades after which every rule holds on a host, in the order in which to make them.

The rules themselves judge what the host's record would be after each set: nothing is known here that they do not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wxops.audit.finding import Finding, Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.report import EXIT_FAILED, EXIT_FINE, EXIT_UNKNOWN
from wxops.audit.rule import rules
from wxops.audit.tables import Tables
from wxops.audit.upgrades import FOLLOWS, ORDER, Slot, Upgrade, slots
from wxops.audit.versions import Version
from wxops.errors import InputError, nearest

COMPONENTS = ("driver", "cuda", "cudnn", "torch")
MOST_SETS = 20_000
"""How many sets of upgrades are tried before the best so far is taken."""


@dataclass(frozen=True)
class HostPlan:
    """What to do on one host. remaining: what no upgrade mends; problem: why there is no plan."""

    host: str
    steps: tuple[Upgrade, ...] = ()
    mended: tuple[Finding, ...] = ()
    remaining: tuple[Finding, ...] = ()
    problem: str = ""

    @property
    def exit_code(self) -> int:
        """As an audit's of the host after these steps: 2 where something still fails, 3 where it is not known."""
        left = {finding.verdict for finding in self.remaining}
        if self.problem or left - {Verdict.UNKNOWN}:
            return EXIT_FAILED
        return EXIT_UNKNOWN if left else EXIT_FINE

    @property
    def reboots(self) -> int:
        """How often the host reboots: once for all steps that need one, before those that stand on them."""
        return int(any(step.reboot for step in self.steps))


@dataclass(frozen=True, order=True)
class _Price:
    """What a set of upgrades leaves, and costs: fewer failures first, then fewer steps, reboots, warnings.

    rank: how far down in their slots' order of preference the upgrades stand.
    """

    failures: int
    steps: int
    reboots: int
    warnings: int
    rank: int


def targets(told: Sequence[str]) -> dict[str, str]:
    """`torch=2.13` -> {"torch": "2.13"}. Raises InputError for a component or a version that is none."""
    found = {}
    for text in told:
        name, equals, wanted = text.partition("=")
        if name not in COMPONENTS:
            fix = nearest(name, list(COMPONENTS))
            raise InputError(f"--to {text}: {name!r} is nothing that a plan upgrades", fix=fix)
        if not equals:
            raise InputError(f"--to {text}: which version?", fix=f"write --to {name}=VERSION")
        try:
            release = Version(wanted)
        except ValueError as error:
            raise InputError(f"--to {text}: {error}") from None
        known = _releases(name)
        if known and not any(release.starts_with(each) for each in known):
            listed = ", ".join(map(str, known))
            raise InputError(f"--to {text}: the tables know no such release", fix=f"known: {listed}")
        found[name] = wanted
    return found


def _releases(component: str) -> list[Version]:
    """Of which there are rows, the newest first; none where the rows are not all that there is (cuDNN)."""
    tables = Tables.load()
    found = {
        "driver": {row.branch for row in tables.driver_branches},
        "cuda": {Version(row.cuda.first(2)) for row in tables.bundled_drivers},
        "torch": {row.torch for row in tables.torch},
    }
    return sorted(found.get(component, ()), reverse=True)


def plan(host: HostRecord, known: Knowledge, wanted: Mapping[str, str], strict: bool = False) -> HostPlan:
    """The plan for one host. wanted: component -> version, which it is to have whatever the rules say.

    strict: warnings are to be mended as failures are.
    """
    bad = {Verdict.FAIL, Verdict.WARN} if strict else {Verdict.FAIL}
    before = _found(host, known)
    try:
        there = [slot for slot in slots(host, known, wanted) if slot.upgrades]
    except InputError as error:
        return HostPlan(host.host, problem=error.what)
    chosen = _with_followers(_cheapest(host, known, there, bad), there)
    after = _found(_after(host, chosen), known)
    failed = {key for key, finding in before.items() if finding.verdict in bad}
    open_then = {key for key, finding in before.items() if finding.verdict is Verdict.UNKNOWN}
    left = {key: finding for key, finding in after.items()
            if finding.verdict in bad or (finding.verdict is Verdict.UNKNOWN and key not in open_then)
            }  # fmt: skip
    mended = tuple(before[key] for key in before if key in failed and key not in left)
    return HostPlan(host.host, chosen, mended, tuple(left.values()))


def _found(host: HostRecord, known: Knowledge) -> dict[tuple[str, str], Finding]:
    """What the rules say of a record, by rule and subject."""
    return {(found.rule, found.subject): found for rule in rules() for found in rule.findings(host, known)}


def _cheapest(host: HostRecord, known: Knowledge, there: Sequence[Slot], bad: set[Verdict]) -> tuple[Upgrade, ...]:
    """The set with the lowest price; sets are tried by their size, so that the first that mends all is small."""
    wanted = [slot.upgrades for slot in there if slot.wanted]
    before = _said(host, known)
    free = [useful for slot in there if not slot.wanted and (useful := _useful(host, known, slot, before))]
    best: tuple[_Price, tuple[Upgrade, ...]] | None = None
    tried = 0
    for size in range(len(free) + 1):
        smaller = best
        for chosen in _sets(wanted, free, size):
            tried += 1
            price = _price(host, known, chosen, there, bad)
            if best is None or price < best[0]:
                best = price, chosen
            if tried >= MOST_SETS:
                return best[1]
        if best is not None and (best[0].failures == 0 or (size > 1 and best is smaller)):
            break
    return best[1] if best else ()


def _sets(
    wanted: Sequence[tuple[Upgrade, ...]], free: Sequence[tuple[Upgrade, ...]], size: int
) -> Iterator[tuple[Upgrade, ...]]:
    for some in itertools.combinations(free, size):
        for chosen in itertools.product(*wanted, *some):
            yield in_order(chosen)


def in_order(chosen: Iterable[Upgrade]) -> tuple[Upgrade, ...]:
    return tuple(sorted(chosen, key=lambda upgrade: ORDER.index(upgrade.component)))


def _with_followers(chosen: tuple[Upgrade, ...], there: Sequence[Slot]) -> tuple[Upgrade, ...]:
    """A new driver takes along what must be of its version, also where no rule may fail for it."""
    if not any(upgrade.component == "driver" and upgrade.before != upgrade.after for upgrade in chosen):
        return chosen
    followers = [each for slot in there for each in slot.upgrades if each.after == FOLLOWS and each not in chosen]
    return in_order([*chosen, *followers])


def _useful(host: HostRecord, known: Knowledge, slot: Slot, before: set[Finding]) -> tuple[Upgrade, ...]:
    """The upgrades that change what any rule says; those that follow another one always count."""
    return tuple(each for each in slot.upgrades if each.after == FOLLOWS or _said(each.apply(host), known) != before)


def _said(host: HostRecord, known: Knowledge) -> set[Finding]:
    return {finding for rule in rules() for finding in rule.findings(host, known)}


def _price(
    host: HostRecord, known: Knowledge, chosen: tuple[Upgrade, ...], there: Sequence[Slot], bad: set[Verdict]
) -> _Price:
    found = [finding.verdict for finding in _said(_after(host, chosen), known)]
    reboots = sum(upgrade.reboot for upgrade in chosen)
    rank = sum(slot.upgrades.index(upgrade) for slot in there for upgrade in slot.upgrades if upgrade in chosen)
    return _Price(sum(verdict in bad for verdict in found), len(chosen), reboots, found.count(Verdict.WARN), rank)


def _after(host: HostRecord, chosen: Sequence[Upgrade]) -> HostRecord:
    for upgrade in chosen:
        host = upgrade.apply(host)
    return host
