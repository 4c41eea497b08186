"""The hardware clock, set from the system's; done again on a rollback, when /etc/adjtime says again what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Action

if TYPE_CHECKING:
    from wxops.agent.resources import State


class RtcAction(Action):
    """The name says what for. hwclock(8) reads in /etc/adjtime whether the clock keeps UTC."""

    def write(self, name: str, state: State) -> None:
        done = run(["hwclock", "--systohc"])
        if done.rc != 0:
            raise ModuleFailure("the hardware clock cannot be set: %s" % done.stderr.strip(), **done.result())


KIND = RtcAction()
