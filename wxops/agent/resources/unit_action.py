"""Something that systemd is told to do and that is no state: restart or reload a unit, read its own files anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.resources import Action
from wxops.agent.resources.service import name_of
from wxops.agent.systemctl import command

if TYPE_CHECKING:
    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

# On rollback a unit is restarted only if it runs then: whether it does is a state, and that is set back before.
IF_RUNNING = {"restart": "try-restart", "reload": "try-reload-or-restart"}


class UnitAction(Action):
    """The name says it, as "restart docker.service"; details: verb, unit ("" for systemd itself), scope, options."""

    def read(self, name: str, view: View) -> State:
        return {}

    def write(self, name: str, state: State) -> None:
        command(state["scope"], *state.get("options", []), state["verb"], *([state["unit"]] if state["unit"] else []))

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        if saved["unit"] and not change.state("service", name_of(saved["scope"], saved["unit"]))["active"]:
            return
        change.act(kind, name, **dict(saved, verb=IF_RUNNING.get(saved["verb"], saved["verb"]), options=[]))


KIND = UnitAction()
