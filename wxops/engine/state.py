"""What a run knows of each host: its variables so far, whether it still takes part, and its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxops.engine.events import COUNTS, Status


@dataclass
class HostState:
    """One host in one run. `registered` also holds what set_fact set; names in `facts` begin with ansible_."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)
    included: dict[str, Any] = field(default_factory=dict)
    notified: list[str] = field(default_factory=list)
    failed: bool = False
    unreachable: bool = False
    ended: bool = False
    failed_task: Mapping[str, Any] | None = None
    failed_result: Mapping[str, Any] | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    rescuers: int = 0
    """How many blocks with a rescue it is in now."""

    @property
    def takes_part(self) -> bool:
        return not (self.failed or self.unreachable or self.ended)

    def count(self, status: Status) -> None:
        """As Ansible's recap counts: a changed task is also ok, an ignored one too."""
        self.counts[status] += 1
        if status in ("changed", "ignored"):
            self.counts["ok"] += 1

    def learn(self, facts: Mapping[str, Any]) -> None:
        """Facts that a module returned."""
        self.facts.update(facts)

    @property
    def ansible_facts(self) -> dict[str, Any]:
        """The facts under their short names, as `ansible_facts` has them."""
        return {name.removeprefix("ansible_"): value for name, value in self.facts.items()}
