"""A campaign in words: what ran, what agreed, and each case that did not as a playbook to run again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from conformance.compare import account, status
from conformance.fuzz.campaign import Numbered
from conformance.fuzz.trying import Tried

MOST_SHOWN = 6


@dataclass
class Report:
    """Counts so far. kept: where cases that differ are written."""

    kept: Path
    cases: int = 0
    clean: int = 0
    refused: int = 0
    meant: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    modules: Counter[str] = field(default_factory=Counter)
    different: list[int] = field(default_factory=list)

    def take(self, done: Numbered) -> str:
        """Count a case; what is to be said of it at once."""
        self.cases += 1
        self.refused += done.tried.refused
        self.meant.update({why for _, why in done.tried.deliberate})
        for theirs, _ in done.tried.ran:
            for said in account(theirs.told).values():
                self.statuses[status(said)] += 1
                self.modules[said["module"]] += 1
        if not done.tried.differences:
            self.clean += 1
            return ""
        self.different.append(done.number)
        text = _told(done.smallest)
        path = self.kept / f"case-{done.number}.yml"
        path.write_text(text)
        for name, ran in zip(("ansible-core", "wxops"), done.tried.ran[-1], strict=True):
            (self.kept / f"case-{done.number}.{name}.txt").write_text(ran.output)
        return f"\ncase {done.number} differs: {path}\n{text}"

    def summary(self) -> str:
        results = ", ".join(f"{count} {status}" for status, count in self.statuses.most_common())
        lines = [
            f"{self.cases} cases, each run twice under both engines: {self.clean} clean, {len(self.different)} differ",
            f"results of ansible-core: {sum(self.statuses.values())} ({results}) of {len(self.modules)} modules: "
            + ", ".join(f"{name} {count}" for name, count in self.modules.most_common()),
            f"of the clean ones {self.refused} were refused by wxops before anything ran",
            *(f"in {count} cases a difference that is meant: {why}" for why, count in self.meant.most_common()),
        ]
        if self.different:
            lines.append(f"differ: {' '.join(map(str, sorted(self.different)))}")
        return "\n".join(lines)


def _told(tried: Tried) -> str:
    """The playbook, what differs in comments above it."""
    lines = [f"# {line}" for each in tried.differences[:MOST_SHOWN] for line in str(each).splitlines()]
    return "\n".join([tried.case.text().rstrip(), *lines]) + "\n"
