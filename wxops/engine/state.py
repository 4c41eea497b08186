"""What a run knows of each host: its variables so far, whether it still takes part, and its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxops.engine.events import COUNTS, Status
from wxops.engine.facts import allowed


@dataclass
class HostState:
    """One host in one run.

    facts: names begin with ansible_; ansible_facts has the same under short names. registered: also what set_fact set.
    notified, roles_run: of the play at hand; handlers to run, roles that ran.
    leaves_role: it met an `end_role`, and does nothing before the role's end.
    rescuers: how many blocks with a rescue it is in now. forgiven: what failed in this play keeps it from no other.
    tasks_run: how many tasks ran so far, failed ones too, but none that was skipped or could not reach the host.
    clearings: how often `clear_host_errors` was met; in an `always` it also takes back why the host is there.
    handlers_over: it failed in a handler, so it runs none any more in this play, not even when they are forced.
    """

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    ansible_facts: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)
    included: dict[str, Any] = field(default_factory=dict)
    notified: set[tuple[int, int]] = field(default_factory=set)
    roles_run: set[str] = field(default_factory=set)
    leaves_role: bool = False
    failed: bool = False
    unreachable: bool = False
    ended: bool = False
    forgiven: bool = False
    facts_are_kept: bool = True
    tasks_run: int = 0
    handlers_over: bool = False
    clearings: int = 0
    rescuers: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    @property
    def lost(self) -> bool:
        return self.failed or self.unreachable

    @property
    def takes_part(self) -> bool:
        return not (self.failed or self.unreachable or self.ended)

    def begin_play(self) -> None:
        """What was of the last play is over."""
        if self.forgiven:
            self.failed = self.unreachable = self.forgiven = False
        self.ended = self.leaves_role = self.handlers_over = False
        self.notified.clear()
        self.roles_run.clear()

    def count(self, status: Status, changed: bool = False) -> None:
        """As Ansible's recap counts: a changed task is also ok, an ignored one too."""
        self.counts[status] += 1
        if status in ("changed", "ignored"):
            self.counts["ok"] += 1
        if status == "ignored" and changed:
            self.counts["changed"] += 1

    def learn(self, facts: Mapping[str, Any]) -> None:
        """Facts that a module returned, less those that no host may decide."""
        facts = allowed(facts)
        self.facts.update(facts)
        self.ansible_facts.update({name.removeprefix("ansible_"): value for name, value in facts.items()})
        self.facts_are_kept = False

    def forget_facts(self) -> None:
        self.facts.clear()
        self.ansible_facts.clear()
        self.facts_are_kept = False

    @property
    def facts_are_gathered(self) -> bool:
        """Did `setup` ever tell of this host, in this run or an earlier one that is remembered?"""
        return bool(self.facts.get("module_setup"))
