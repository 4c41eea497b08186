"""A command that ran: it is taken back only by the inverse that its task names with `rollback:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State


class CommandKind(Kind):
    """The name is the command as a person reads it; the state {"rollback": shell text or None}."""

    repeatable = False

    def read(self, name: str, view: View) -> State:
        return {}

    def irreversible(self, saved: State) -> Optional[str]:
        return None if saved.get("rollback") else "a command without `rollback:`"

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        """Run the inverse. It has none itself, so taking this rollback back will report it."""
        inverse = saved["rollback"]
        if change.check:
            change.changed = True
            change.diffs.append({"prepared": "%s %s\n" % (kind, inverse)})
            return
        done = change.run_command(["/bin/sh", "-c", inverse], inverse)
        if done.rc != 0:
            raise ModuleFailure("its rollback command failed: %s" % inverse, **done.result())


KIND = CommandKind()
