"""Two accounts of the same target, held against each other task by task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What ansible-core tells of these depends on its strategy plugins: a file that was included, not a task that ran.
UNTOLD = frozenset({"include_tasks", "include_role", "import_tasks", "import_role", "meta"})
Place = tuple[str, str, int]  # file:line, host, and the how manieth time there
Account = dict[Place, Mapping[str, Any]]


@dataclass(frozen=True)
class Difference:
    """A task that did not come out alike; None: it did not run at all."""

    place: Place
    task: str
    theirs: Mapping[str, Any] | None
    ours: Mapping[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    """tasks: results of ansible-core. extra: those of wxops beyond. differences: in order, the extra ones last."""

    tasks: int
    agree: int
    extra: int
    differences: list[Difference]

    @property
    def percent(self) -> float | None:
        """None where ansible-core ran no task: that is no agreement."""
        return 100 * self.agree / self.tasks if self.tasks else None


def compare(theirs: Iterable[Mapping[str, Any]], ours: Iterable[Mapping[str, Any]]) -> Comparison:
    """Match results by the task's place, host and occurrence, and compare what came out."""
    told, answered = account(theirs), account(ours)
    differences = [
        Difference(place, said["task"], said, answered.get(place))
        for place, said in told.items()
        if place not in answered or status(answered[place]) != status(said)
    ]
    extra = [Difference(place, said["task"], None, said) for place, said in answered.items() if place not in told]
    return Comparison(len(told), len(told) - len(differences), len(extra), [*differences, *extra])


def account(told: Iterable[Mapping[str, Any]]) -> Account:
    """Results by place. Without the files that were included."""
    seen: Counter[tuple[str, str]] = Counter()
    found: Account = {}
    for said in told:
        if said["module"] in UNTOLD and said["status"] in ("ok", "changed", "skipped"):
            continue
        where = ":".join(str(said["where"]).split(":")[:2])
        if said["task"] == "Gathering Facts" or said["module"].endswith("validate_argument_spec"):
            where = said["task"]  # stands in no file of the suite
        about = (where, said["host"])
        found[*about, seen[about]] = said
        seen[about] += 1
    return found


def status(said: Mapping[str, Any]) -> str:
    """ansible-core's word for it: it tells a failure before anything rescues from it, and a lost host before
    ignore_unreachable.
    """
    if said["status"] == "ignored" and said["result"].get("unreachable"):
        return "unreachable"
    return "failed" if said["status"] == "rescued" else str(said["status"])
