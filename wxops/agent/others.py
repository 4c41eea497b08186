"""What other runs did on this host while a run went on and after it, as their journals say: it must not be lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional, Sequence, Set, Tuple

    from wxops.agent.journal import Journal

    Step = Dict[str, Any]
    Thing = Tuple[str, str]


class Others:
    """The runs whose steps may stand upon a run's own: those that were not taken back.

    Runs follow one another on a host, but for those that a command of a run starts: their steps stand between its own.
    """

    def __init__(self, journal: Journal, steps: Sequence[Step], asking: str) -> None:
        """steps: those of the run, first to last. asking: the run that wants to take it back."""
        began = min((step["time"] for step in steps), default=0.0)
        journals = [other for other in journal.others(began) if other.run != asking and not other.undone_by()]
        self._run = journal.run
        self._steps = [(step["time"], other.run, step) for other in journals for step in other.steps()]
        self._steps.sort(key=lambda found: found[:2])
        self.started = sorted({other.run for other in journals if journal.run in other.within()})

    def in_flux(self) -> Set[Thing]:
        """What a rollback was just setting back when it was killed."""
        return {_thing(step) for _, _, step in self._steps if step["module"] == "rollback" and not step["finished"]}

    def since(self, own: Sequence[Step]) -> Optional[str]:
        """In words, which run changed a thing after the last of these steps."""
        runs = [run for moment, run in self._changed(own[0]) if (moment, run) > (own[-1]["time"], self._run)]
        if not runs:
            return None
        if any(run == runs[-1] for moment, run in self._changed(own[0]) if moment < own[0]["time"]):
            return "changed by run %s before and since: take this run back with --force, then that one" % runs[-1]
        return "changed by run %s since, which could be taken back first" % runs[-1]

    def between(self, own: Sequence[Step]) -> Optional[str]:
        """In words, which run changed a thing between these steps."""
        first, last = own[0]["time"], own[-1]["time"]
        runs = [run for moment, run in self._changed(own[0]) if first < moment < last]
        return "changed by run %s meanwhile: take that one back first, with --force" % runs[-1] if runs else None

    def _changed(self, own: Step) -> Iterator[Tuple[float, str]]:
        """When, and by which runs, the thing of a step was changed; the first first."""
        return ((moment, run) for moment, run, step in self._steps if _thing(step) == _thing(own))

    def files_in(self, folder: str, since: float) -> Set[str]:
        """The files that they put into a directory after that moment, and that are there."""
        return {
            step["name"]
            for moment, _, step in self._steps
            if moment > since and step["kind"] == "file" and step["name"].startswith(folder + "/")
            and os.path.lexists(step["name"])
        }  # fmt: skip


def _thing(step: Step) -> Thing:
    return step["kind"], step["name"]
