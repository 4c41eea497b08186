"""apt's lists of what its sources offer, and the .deb files that it keeps: caches, which no rollback needs back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.debian.apt_get import environment, failure
from wxops.agent.debian.lock import LISTS, wait_for
from wxops.agent.journal import state_directory
from wxops.agent.process import run
from wxops.agent.resources import Action

if TYPE_CHECKING:
    from wxops.agent.change import Change
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

LIST_FOLDER = "/var/lib/apt/lists"
# Where Ubuntu notes a successful update, and where we do: the lists' own time tells only of the last change.
STAMPS = ("/var/lib/apt/periodic/update-success-stamp",)
OWN_STAMP = "apt-updated"


class PackageCacheKind(Action):
    """The name is apt-get's word: update, clean or autoclean; details: options, lock_timeout."""

    def write(self, name: str, state: State) -> None:
        wait_for(LISTS, state["lock_timeout"], lambda _: None)
        options = ["-o", "APT::Update::Error-Mode=any"] if name == "update" else []
        done = run(["apt-get", "-q", *options, *state["options"], name], environment=environment())
        if done.rc != 0:
            raise failure(done)
        if name == "update":
            with open(os.path.join(state_directory(), OWN_STAMP), "w"):
                pass

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        """Nothing to do."""


KIND = PackageCacheKind()


def updated_at() -> float:
    """When the lists were last known to be fresh, in seconds since 1970; 0 if never."""
    places = [*STAMPS, os.path.join(state_directory(), OWN_STAMP), LIST_FOLDER]
    return max((os.stat(place).st_mtime for place in places if os.path.exists(place)), default=0)
