"""Takes a run back on this host, last step first; itself a run, so that it can be taken back too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.resources import kind_named

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.change import Change

    Step = Dict[str, Any]


def rollback(change: Change, run: str, force: bool = False) -> Dict[str, Any]:
    """Take back what a run changed on this host.

    run: the run to take back.
    force: also where somebody else has changed a thing since.
    """
    journal = Journal(run, change.journal.host)
    steps = journal.steps() if journal.exists() else []
    by = journal.undone_by()
    if by or not steps:
        return {"steps_back": 0, "msg": "already taken back by %s" % by if by else "changed nothing here"}
    irreversible = [_line(step, reason) for step in steps for reason in [_irreversible(step)] if reason]
    conflicts = [] if force else _conflicts(change, journal, steps)
    if conflicts:
        raise ModuleFailure(
            "nothing was taken back: %s. Look at them; --force sets them back all the same" % "; ".join(conflicts),
            conflicts=conflicts, irreversible=irreversible,
        )  # fmt: skip
    done = _take_back(change, journal, steps)
    if not change.check:
        journal.undone(change.journal.run)
    return {"steps_back": done, "irreversible": irreversible}


def _take_back(change: Change, journal: Journal, steps: List[Step]) -> int:
    """States in reverse order, then actions (restarts, reloads) once each, in the order they had."""
    late: Dict[Any, Step] = {}
    for step in reversed(steps):
        kind = kind_named(step["kind"])
        if _irreversible(step):
            continue
        if kind.late:
            late[step["kind"], step["name"]] = step
            continue
        if not step["finished"] and not change.check:
            kind.recover(step["name"])
        kind.undo(change, step["kind"], step["name"], step["before"], journal)
    for step in sorted(late.values(), key=lambda step: int(step["seq"])):
        kind_named(step["kind"]).undo(change, step["kind"], step["name"], step["before"], journal)
    return sum(1 for step in steps if not _irreversible(step))


def _irreversible(step: Step) -> Optional[str]:
    return kind_named(step["kind"]).irreversible(step["before"])


def _conflicts(change: Change, journal: Journal, steps: List[Step]) -> List[str]:
    """What is no longer as the run left it: only the last step on each thing can tell."""
    found, seen = [], set()
    for step in reversed(steps):
        name = (step["kind"], step["name"])
        if name in seen or step["after"] is None:
            continue
        seen.add(name)
        kind = kind_named(step["kind"])
        now = change.state(*name)
        fingerprint = kind.fingerprint(now)
        as_left = all(fingerprint.get(key) == value for key, value in step["after"].items())
        as_before = kind.same(now, kind.load(step["before"], journal))
        if step["finished"] and not as_left and not as_before:
            found.append(_line(step, "changed by somebody else since"))
    return found


def _line(step: Step, why: str) -> str:
    return "%s %s (task %s): %s" % (step["kind"], step["name"], step["task"], why)
