"""What earlier runs set on this host, who did, and whether it is still so; nothing is changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.resources import kind_named

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    from wxops.agent.change import Change


def drift(change: Change) -> Dict[str, Any]:
    """Name every thing that the journals of this host know of, with the run that set it last.

    Returned are `things`: kind, name, run, task, module, about (who ran what) and as_left; of one that is no longer as
    that run left it also was and now, unless a secret may be in it. Runs that were taken back do not count.
    """
    last: Dict[Tuple[str, str], Tuple[Journal, Dict[str, Any]]] = {}
    for journal in _in_effect(change.journal):
        for step in reversed(journal.steps()):
            key = (step["kind"], step["name"])
            if step["finished"] and step["after"] and (key not in last or last[key][1]["time"] < step["time"]):
                last[key] = (journal, step)  # of an older run when its command started the younger one
    return {"things": [_thing(change, journal.run, _about(journal), step) for journal, step in last.values()]}


def _in_effect(own: Journal) -> Iterator[Journal]:
    """The journals of earlier runs that were not taken back, the last one first."""
    for run in reversed(own.runs()):
        try:
            journal = own.of_run(run)
        except ModuleFailure:  # of other hosts of the inventory, which are this machine too
            continue
        if run != own.run and journal.exists() and not journal.undone_by():
            yield journal


def _about(journal: Journal) -> Dict[str, Any]:
    try:
        with open(os.path.join(journal.directory, "run.json"), encoding="utf-8") as file:
            about = json.load(file)
    except (OSError, ValueError):
        return {}
    return {key: about[key] for key in ("started", "user", "controller", "playbooks", "revision") if key in about}


def _thing(change: Change, run: str, about: Dict[str, Any], step: Dict[str, Any]) -> Dict[str, Any]:
    thing = {key: step[key] for key in ("kind", "name", "task", "module")}
    thing.update(run=run, about=about)
    try:
        now = kind_named(step["kind"]).fingerprint(change.state(step["kind"], step["name"]))
    except (ModuleFailure, OSError, ImportError) as error:
        return dict(thing, as_left=None, why=str(error))
    was = step["after"]
    thing["as_left"] = all(now.get(key) == value for key, value in was.items())
    if not thing["as_left"] and not step.get("hidden"):
        thing["was"] = {key: value for key, value in was.items() if now.get(key) != value}
        thing["now"] = {key: now.get(key) for key in thing["was"]}
    return thing
