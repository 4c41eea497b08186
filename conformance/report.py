"""The comparison as a table, and what differs in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.compare import Comparison, Difference
from conformance.engines import LIMIT_S, SUITE, Outcome

HEAD = "| target | tasks | agree | % | exit codes | seconds | the first that does not agree |\n" + "|---" * 7 + "|"


FAILED = ("failed", "ignored", "rescued")


@dataclass(frozen=True)
class Tried:
    """A target under both engines."""

    name: str
    theirs: Outcome
    ours: Outcome
    comparison: Comparison

    def same_codes(self) -> int:
        """How many calls of ansible-playbook ended alike."""
        return sum(theirs == ours for theirs, ours in zip(self.theirs.codes, self.ours.codes, strict=False))

    def row(self) -> str:
        said, codes = self.comparison, f"{self.same_codes()} of {len(self.theirs.codes)}"
        seconds = f"{self.theirs.seconds:.0f} {self.ours.seconds:.0f}"
        first = self.cut_off() or (shown(said.differences[0]) if said.differences else "")
        percent = "none ran" if said.percent is None else f"{said.percent:.1f}"
        return f"| {self.name} | {said.tasks} | {said.agree} | {percent} | {codes} | {seconds} | {first} |"

    def cut_off(self) -> str:
        """Which engine did not come to the target's end, so that this row tells of a part of it."""
        cut = [name for name, outcome in (("ansible-core", self.theirs), ("wxops", self.ours)) if not outcome.whole]
        return f"{' and '.join(cut)} cut off after {LIMIT_S} s" if cut else ""


def table(tried: list[Tried]) -> str:
    """One row a target, and all together."""
    tasks = sum(each.comparison.tasks for each in tried)
    agree = sum(each.comparison.agree for each in tried)
    total = f"| all | {tasks} | {agree} | {100 * agree / max(1, tasks):.1f} | | | |"
    return "\n".join([HEAD, *(each.row() for each in tried), total])


def shown(difference: Difference) -> str:
    """One line: file:line, the task, and both results."""
    place = difference.place[0].removeprefix(f"{SUITE}/targets/")
    said = f"ansible-core {_result(difference.theirs)}, wxops {_result(difference.ours)}"
    return f"{place} {difference.task}: {said}".replace("|", "\\|").replace("\n", " ")


def _result(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return "did not run it"
    result = said["result"]
    message = str(result.get("assertion") or result.get("msg", "")) if said["status"] in FAILED else ""
    return f"{said['status']} ({message[:90]})" if message else str(said["status"])


def account_of(each: Tried) -> str:
    """Everything that differs, for whoever mends it: JSON lines."""
    lines = [
        {"place": d.place, "task": d.task, "theirs": d.theirs and [d.theirs["status"], d.theirs["result"]],
         "ours": d.ours and [d.ours["status"], d.ours["result"]]}
        for d in each.comparison.differences
    ]  # fmt: skip
    return "".join(json.dumps(line, default=str) + "\n" for line in lines)
