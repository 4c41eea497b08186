"""The smallest set of upgrades after which every rule holds on a host, in the order in which to make them.

The rules themselves judge what the host's record would be after each set: nothing is known here that they do not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wxops.audit.finding import Finding, Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rules
from wxops.audit.upgrades import ORDER, Slot, Upgrade, slots
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
    def reboots(self) -> int:
        """How often the host reboots: once for all steps that need one, before those that stand on them."""
        return int(any(step.reboot for step in self.steps))


@dataclass(frozen=True, order=True)
class _Price:
    """What a set of upgrades leaves, and costs: fewer failures first, then fewer steps, reboots, warnings."""

    failures: int
    steps: int
    reboots: int
    warnings: int


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
            Version(wanted)
        except ValueError as error:
            raise InputError(f"--to {text}: {error}") from None
        found[name] = wanted
    return found


def plan(host: HostRecord, known: Knowledge, wanted: Mapping[str, str]) -> HostPlan:
    """The plan for one host. wanted: component -> version, which it is to have whatever the rules say."""
    before = _failures(host, known)
    there = [slot for slot in slots(host, known, wanted) if slot]
    problem = _out_of_reach(host, there, wanted)
    if problem:
        return HostPlan(host.host, remaining=before, problem=problem)
    chosen = _cheapest(host, known, there, wanted)
    after = _failures(_after(host, chosen), known)
    left = {(finding.rule, finding.subject) for finding in after}
    mended = tuple(finding for finding in before if (finding.rule, finding.subject) not in left)
    return HostPlan(host.host, chosen, mended, after)


def _out_of_reach(host: HostRecord, there: Sequence[Slot], wanted: Mapping[str, str]) -> str:
    names = {"cuda": "toolkit"}
    for name, target in wanted.items():
        if not any(upgrade.component == names.get(name, name) for slot in there for upgrade in slot):
            if _has(host, name, target):
                continue
            return f"{name}={target}: the tables know no such release, or this host has nothing to upgrade to it"
    return ""


def _has(host: HostRecord, name: str, target: str) -> bool:
    wanted = Version(target)
    versions: dict[str, list[str | None]] = {
        "driver": [host.nvidia.driver_version.value if host.nvidia else None],
        "torch": [torch.version for torch in host.torches.value or ()],
        "cuda": [toolkit.version for toolkit in host.toolkits.value or () if toolkit.in_use],
        "cudnn": [each.version for each in host.libraries.value or () if each.name == "cudnn"],
    }
    have = versions[name]
    return bool(have) and all(text and Version(text).starts_with(wanted) for text in have)


def _cheapest(
    host: HostRecord, known: Knowledge, there: Sequence[Slot], wanted: Mapping[str, str]
) -> tuple[Upgrade, ...]:
    """The set with the lowest price; sets are tried by their size, so that the first that mends all is small."""
    forced = [slot for slot in there if slot[0].component in {{"cuda": "toolkit"}.get(name, name) for name in wanted}]
    free = [_useful(host, known, slot) for slot in there if slot not in forced]
    free = [slot for slot in free if slot]
    best: tuple[_Price, tuple[Upgrade, ...]] | None = None
    tried = 0
    for size in range(len(free) + 1):
        before = best
        for chosen in _sets(forced, free, size):
            tried += 1
            price = _price(host, known, chosen)
            if best is None or price < best[0]:
                best = price, chosen
            if tried >= MOST_SETS:
                return best[1]
        if best is not None and (best[0].failures == 0 or (size > 1 and best is before)):
            break
    return best[1] if best else ()


def _sets(forced: Sequence[Slot], free: Sequence[Slot], size: int) -> Iterator[tuple[Upgrade, ...]]:
    for some in itertools.combinations(free, size):
        for chosen in itertools.product(*forced, *some):
            yield tuple(sorted(chosen, key=lambda upgrade: ORDER.index(upgrade.component)))


def _useful(host: HostRecord, known: Knowledge, slot: Slot) -> Slot:
    """The upgrades of a slot that change what any rule says; those that follow another one always count."""
    before = _said(host, known)
    return tuple(
        each for each in slot if each.after == "the driver's version" or _said(each.apply(host), known) != before
    )


def _said(host: HostRecord, known: Knowledge) -> set[Finding]:
    return {finding for rule in rules() for finding in rule.findings(host, known)}


def _price(host: HostRecord, known: Knowledge, chosen: tuple[Upgrade, ...]) -> _Price:
    found = [finding.verdict for finding in _said(_after(host, chosen), known)]
    reboots = sum(upgrade.reboot for upgrade in chosen)
    return _Price(found.count(Verdict.FAIL), len(chosen), reboots, found.count(Verdict.WARN))


def _after(host: HostRecord, chosen: Sequence[Upgrade]) -> HostRecord:
    for upgrade in chosen:
        host = upgrade.apply(host)
    return host


def _failures(host: HostRecord, known: Knowledge) -> tuple[Finding, ...]:
    return tuple(
        finding for rule in rules() for finding in rule.findings(host, known) if finding.verdict is Verdict.FAIL
    )
