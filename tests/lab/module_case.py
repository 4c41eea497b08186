"""A real host under wxops, for tests: run tasks through the engine, take them back, compare whole trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conformance.trees import Tree, differences, tree
from wxops.engine.events import Event, Recap, TaskResult
from wxops.engine.options import RunOptions
from wxops.engine.record import past_run
from wxops.engine.rollback import Rollback
from wxops.engine.run import Project, Run
from wxops.lab.host import Host
from wxops.playbook.inventory import Inventory


@dataclass
class Played:
    """What a run came to on the host."""

    run: str
    exit_code: int
    events: list[Event]

    @property
    def results(self) -> list[TaskResult]:
        """One for each task, facts apart."""
        return [e for e in self.events if isinstance(e, TaskResult) and not e.is_item and e.task != "Gathering Facts"]

    @property
    def statuses(self) -> list[str]:
        return [result.status for result in self.results]

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        return next(event.hosts for event in self.events if isinstance(event, Recap))

    @property
    def diffs(self) -> list[Any]:
        return [
            diff
            for r in self.results
            for each in [r.result, *(r.result.get("results") or [])]
            if isinstance(each, dict)  # dnf, too, returns `results`
            for diff in each.get("diff", [])
        ]

    def told(self) -> str:
        """Everything that went wrong, for a failing assertion."""
        return "\n".join(
            f"{r.task}: {r.status}: {r.result.get('msg')} {r.result.get('exception', '')}" for r in self.results
        )


@dataclass
class ManagedHost:
    """One lab host with an inventory of its own, and a folder for playbooks, templates/ and files/."""

    host: Host
    inventory: str
    folder: Path
    play_keywords: dict[str, Any] = field(default_factory=dict)

    def play(
        self, tasks: Any, *, check: bool = False, options: Mapping[str, Any] | None = None, **keywords: Any
    ) -> Played:
        """Run tasks (YAML text or a list) as a play on this host alone."""
        listed = yaml.safe_load(tasks) if isinstance(tasks, str) else tasks
        play = {"hosts": "all", "gather_facts": False, **self.play_keywords, **keywords, "tasks": listed}
        playbook = self.folder / "play.yml"
        playbook.write_text(yaml.safe_dump([play], sort_keys=False, allow_unicode=True))
        return self.run(playbook, check=check, **(options or {}))

    def run(self, *playbooks: Path, **options: Any) -> Played:
        chosen = RunOptions(**{"limit": self.host.name, **options})
        project = Project.load(Inventory.load([self.inventory]), list(playbooks), chosen)
        events: list[Event] = []
        run = Run(project, events.append, self.folder / "runs", {"inventory": [self.inventory]})
        return Played(run.run, run.execute(), events)

    def rollback(self, run: str | None = None, *, force: bool = False, **options: Any) -> Played:
        events: list[Event] = []
        past = past_run(self.folder / "runs", run)
        work = Rollback(
            past, Inventory.load([self.inventory]), RunOptions(**options), events.append, self.folder / "runs", force
        )
        return Played(work.run, work.execute(), events)

    def tree(self, ignored: Sequence[str] = ()) -> Tree:
        return tree(self.host.root, ignored)


def keep_promises(managed: ManagedHost, case: Mapping[str, Any]) -> Played:
    """What every module promises: check predicts, the first run changes, the second does not, rollback restores.

    case: tasks; given (tasks that prepare the host); second (statuses of a second run, by default all ok); diff (texts
    that the diff shows); leaves (shell conditions that hold on the host afterwards); ignore (paths not compared).
    """
    ignored = case.get("ignore", ())
    if case.get("given"):
        prepared = managed.play(case["given"])
        assert prepared.exit_code == 0, prepared.told()
    before = managed.tree(ignored)

    predicted = managed.play(case["tasks"], check=True)
    assert predicted.exit_code == 0, predicted.told()
    assert differences(before, managed.tree(ignored)) == [], "check mode changed the host"

    first = managed.play(case["tasks"])
    assert first.exit_code == 0, first.told()
    assert first.statuses == predicted.statuses, "check mode said something else than what the run did"
    assert "changed" in first.statuses
    if case.get("same_diff", True):
        assert first.diffs == predicted.diffs
    for text in case.get("diff", ()):
        assert text in "".join(str(diff) for diff in first.diffs)
    for condition in case.get("leaves", ()):
        assert managed.host.ssh(condition, check=False).returncode == 0, f"does not hold afterwards: {condition}"

    second = managed.play(case["tasks"])
    wanted = case.get("second", ["ok" if status == "changed" else status for status in first.statuses])
    assert second.statuses == wanted, f"a second run: {second.told()}"

    for run in [second.run, first.run] if "changed" in second.statuses else [first.run]:
        back = managed.rollback(run)
        assert back.exit_code == 0, back.told()
    assert differences(before, managed.tree(ignored)) == [], "rollback left differences"
    return first
