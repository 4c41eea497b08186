"""A rule: what is checked and why, as data, beside the small pure function that judges a host by it.

A file in rules/ holds the rules of one area; there is no registry: every `Rule` in such a file is a rule, alone or in a
tuple of rules that differ by a word only.

    @rule("driver.module-matches-library", area="driver", severity="fail",
          title="The loaded kernel module and the driver's libraries are of one version",
          why="Programs that start after an upgrade without a reboot fail with NVML error 18.",
          source="compat.yaml: driver_branches.packaging")
    def module_matches_library(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
        ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from wxops.audit.finding import Finding, Judgement, Verdict
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.errors import InputError, nearest

Area = Literal["hardware", "driver", "container", "torch", "cudnn", "toolkit", "serving", "policy", "host"]
"""In the order in which a person on call looks: a lost GPU before an old package, what broke before what is asked."""
AREAS: tuple[str, ...] = get_args(Area)
Judge = Callable[[HostRecord, Knowledge], Iterator[Judgement]]
RULES = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class Rule:
    """One rule. severity: the worst that it says; fail stops a deployment, warn is to be looked at."""

    id: str
    area: Area
    severity: Literal["fail", "warn"]
    title: str
    why: str
    source: str
    judge: Judge

    def findings(self, host: HostRecord, known: Knowledge) -> Iterator[Finding]:
        """What it says of a host; a rule of severity warn never fails one."""
        for judgement in self.judge(host, known):
            verdict = judgement.verdict
            if verdict is Verdict.FAIL and self.severity == "warn":
                verdict = Verdict.WARN
            yield Finding(self.id, self.area, verdict, judgement.subject, judgement.evidence, judgement.fix)


def rule(
    id: str, *, area: Area, severity: Literal["fail", "warn"], title: str, why: str, source: str
) -> Callable[[Judge], Rule]:
    """Make a rule of the function that judges by it. source: where the fact stands; a table's key, a page, an issue."""

    def decorate(judge: Judge) -> Rule:
        return Rule(id, area, severity, title, why, source, judge)

    return decorate


@functools.cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order of their areas' files and of the rules in them."""
    names = sorted(path.stem for path in RULES.glob("[a-z]*.py"))
    files = [import_module(f"wxops.audit.rules.{name}") for name in names]
    values = [value for file in files for value in vars(file).values()]
    return tuple(
        each for value in values for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, Rule)
    )


def rule_named(id: str) -> Rule:
    """The rule with this id. Raises InputError with the nearest known one."""
    for each in rules():
        if each.id == id:
            return each
    raise InputError(f"there is no audit rule {id!r}", fix=nearest(id, [each.id for each in rules()]))
