"""A command that ran: it is taken back only by the inverse that its task names with `rollback:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State


class CommandKind(Kind):
    """The name is the command as a person reads it; the state {"rollback": shell text or None}."""

    def read(self, name: str, view: View) -> State:
        return {}

    def write(self, name: str, state: State) -> None:
        done = run(["/bin/sh", "-c", state["rollback"]])
        if done.rc != 0:
            raise ModuleFailure("its rollback command failed: %s" % state["rollback"], **done.result())

    def irreversible(self, saved: State) -> Optional[str]:
        return None if saved.get("rollback") else "a command without `rollback:`"

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        change.act(kind, name, rollback=saved["rollback"])


KIND = CommandKind()
