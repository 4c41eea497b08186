"""A git checkout: what is checked out, brought forward by git's commands and back by the files as they were."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.git import snapshot
from wxops.agent.git.repository import Repository
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, List, Tuple

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

ABSENT: State = {"exists": False}


class GitCheckoutKind(Kind):
    """The name is the directory's. States: {"exists": False}, or head (a commit), branch (None when detached),

    heads (branch -> commit), modified (tracked files that differ from HEAD). A wanted state also holds `work`
    (work.py), which brings it about.
    """

    def read(self, name: str, view: View) -> State:
        return Repository(name).state()

    def same(self, now: State, wanted: State) -> bool:
        return "work" not in wanted and super().same(now, wanted)

    def merged(self, before: State, wanted: State) -> State:
        return dict(wanted) if not before["exists"] else dict(before, **wanted)

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != "work"}

    def write(self, name: str, state: State) -> None:
        work = state["work"]
        before = set(snapshot.objects(work.git_dir))
        try:
            work.run()
        finally:
            if "record" in state:
                snapshot.write_record(state["record"], set(snapshot.objects(work.git_dir)) - before)

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        if not before["exists"]:
            return ABSENT
        work = after["work"]
        saved = snapshot.take(work.folders(), work.paths(), journal)
        after["record"] = journal.path(saved["record"])
        return dict(saved, exists=True, git_dir=work.git_dir,
                    state={key: before[key] for key in ("head", "branch", "heads", "modified")})  # fmt: skip

    def load(self, saved: State, journal: Journal) -> State:
        return dict(saved["state"], exists=True) if saved["exists"] else ABSENT

    def fingerprint(self, state: State) -> State:
        return {key: value for key, value in state.items() if key not in ("work", "record")}

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        return [("file", path) for path in saved.get("paths", {})]

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        """By its files, so that a rollback's own journal has what it takes away. git's own are not shown."""
        told = len(change.diffs)
        if saved["exists"]:
            snapshot.put_back(change, saved, journal)
            own = saved["git_dir"] + "/"
        else:
            own = os.path.join(name, ".git")
            for entry in sorted(os.listdir(name)) if os.path.isdir(name) else []:
                change.set("file", os.path.join(name, entry), {"type": "absent"})
        change.diffs[told:] = [diff for diff in change.diffs[told:] if not diff["before_header"].startswith(own)]

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        text: str = after["work"].diff()
        return {"prepared": text}


KIND = GitCheckoutKind()
