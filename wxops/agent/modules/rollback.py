"""Takes a run back on this host, last step first; itself a run, so that it can be taken back too."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from wxops.agent import jobs, owed
from wxops.agent.failure import ModuleFailure
from wxops.agent.others import Others
from wxops.agent.place import beside
from wxops.agent.resources import kind_named

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set

    from wxops.agent.change import Change
    from wxops.agent.journal import Journal

    Step = Dict[str, Any]


def rollback(change: Change, run: str, force: bool = False) -> Dict[str, Any]:
    """Take back what a run changed on this host.

    run: the run to take back.
    force: also where somebody else has changed a thing since, and directories in which others have put something.
    """
    journal = change.journal.of_run(run)
    if not journal.exists():
        return {"steps_back": 0, "msg": "changed nothing here", "known": False}
    by = _taken_back_by(journal)
    journal = _in_effect(journal)
    going_on = jobs.running(journal.run)
    if going_on:
        raise ModuleFailure(
            "nothing was taken back: %s of run %s still runs. Wait for it, or end its process: the number after the dot"
            % (", ".join("job " + name for name in going_on), journal.run)
        )
    steps = [] if by else journal.steps()
    if not steps:
        return {"steps_back": 0, "msg": "already taken back by %s" % by if by else "changed nothing here"}
    irreversible = [_line(step, reason) for step in steps for reason in [_irreversible(step)] if reason]
    others = Others(journal, steps, change.journal.run)
    outgrown = set() if force else _outgrown(journal, steps, others)
    conflicts = [] if force else _conflicts(change, journal, steps, others)
    if conflicts:
        raise ModuleFailure(
            "nothing was taken back: %s. Look at them; --force sets them back all the same" % "; ".join(conflicts),
            conflicts=conflicts, irreversible=irreversible,
        )  # fmt: skip
    done = _take_back(change, journal, [step for step in steps if not _stays(step, outgrown)])
    if not change.check:
        journal.undone(change.journal.run)
        owed.forget(run)
    return {"steps_back": done, "irreversible": irreversible, "left": sorted(outgrown), "started": others.started}


def _in_effect(journal: Journal) -> Journal:
    """The run whose steps hold now: of a run whose rollback was taken back, the one that took it back."""
    by = journal.undone_by()
    again = journal.of_run(by).undone_by() if by else None
    return _in_effect(journal.of_run(again)) if again else journal


def _taken_back_by(journal: Journal) -> Optional[str]:
    return _in_effect(journal).undone_by()


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
        _undo(change, journal, step)
    for step in sorted(late.values(), key=lambda step: int(step["seq"])):
        _undo(change, journal, step)
    return sum(1 for step in steps if not _irreversible(step))


def _undo(change: Change, journal: Journal, step: Step) -> None:
    kind, told = kind_named(step["kind"]), len(change.diffs)
    change.hidden = step.get("hidden", False)  # also for who takes this rollback back
    try:
        kind.undo(change, step["kind"], step["name"], step["before"], journal)
    except ModuleFailure as failure:
        hidden = ModuleFailure(_line(step, "it failed; why is not shown, as it may hold a secret"))
        told_of = hidden if change.hidden else failure
        if step["finished"] or kind.repeatable:
            raise told_of from None
        change.warnings.append("%s (it was cut short, so perhaps it had done nothing)" % _line(step, str(told_of)))
    finally:
        if change.hidden and change.diffs[told:]:
            change.diffs[told:] = [{"prepared": "%s: not shown, as it may hold a secret\n" % _name(step)}]
    if not kind.repeatable and not change.check:
        journal.void(step["seq"])  # should this rollback be cut short, the next one must not do it again


def _irreversible(step: Step) -> Optional[str]:
    return kind_named(step["kind"]).irreversible(step["before"])


def _conflicts(change: Change, journal: Journal, steps: List[Step], others: Others) -> List[str]:
    """What is in no state that the run knows: as it left it, or on the way back that a rollback cut short has begun;

    and what another run changed between two steps of this one, which it did not know of.
    """
    found, seen = [], others.in_flux()
    for step in reversed(steps):
        name = (step["kind"], step["name"])
        if name in seen or step["after"] is None:
            continue
        seen.add(name)
        seen.update(kind_named(step["kind"]).brings_along(step["before"]))
        same = [other for other in steps if (other["kind"], other["name"]) == name]
        if step["finished"] and not any(_is_known(change, journal, other) for other in same):
            found.append(_line(step, others.since(same) or others.between(same) or "changed by somebody else since"))
        elif others.between(same):
            found.append(_line(step, str(others.between(same))))
    return found


def _is_known(change: Change, journal: Journal, step: Step) -> bool:
    """Is the thing as this step left it, or as it found it?"""
    kind = kind_named(step["kind"])
    now = change.state(step["kind"], step["name"])
    fingerprint = kind.fingerprint(now)
    as_left = all(fingerprint.get(key) == value for key, value in step["after"].items())
    return as_left or kind.same(now, kind.load(step["before"], journal))


def _outgrown(journal: Journal, steps: List[Step], others: Others) -> Set[str]:
    """Directories that the run made, and in which there are files that came after it: they stay, as nobody gave leave

    to take those files away.
    """
    names = {step["name"] for step in steps if step["kind"] == "file"}
    names |= {beside(name) for name in names}  # what a killed write left, until it is recovered
    return {
        step["name"]
        for step in steps
        if step["kind"] == "file" and step["before"]["type"] == "absent" and os.path.isdir(step["name"])
        and not os.path.islink(step["name"])
        and (_holds_newer(step["name"], journal.ended(), names) or others.files_in(step["name"], step["time"]) - names)
    }  # fmt: skip


def _holds_newer(path: str, moment: float, known: Set[str]) -> bool:
    """Is there a file that came or changed after that moment, and that is not one of the known?"""
    for folder, _, files in os.walk(path):
        for name in files:
            inside = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):  # gone by now
                if inside not in known and os.lstat(inside).st_ctime > moment:
                    return True
    return False


def _stays(step: Step, outgrown: Set[str]) -> bool:
    return step["kind"] == "file" and step["name"] in outgrown


def _line(step: Step, why: str) -> str:
    return "%s (task %s): %s" % (_name(step), step["task"], why)


def _name(step: Step) -> str:
    """What was changed. The name of a command is its text, which may hold a secret."""
    named = step["kind"] if step["kind"] == "command" and step.get("hidden") else "%(kind)s %(name)s" % step
    return str(named)
