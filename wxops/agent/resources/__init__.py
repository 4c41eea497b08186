"""The kinds of thing on a host that can be read, set and set back: one file a kind, named as the kind."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal

    State = Dict[str, Any]


class Kind:
    """How to read, write and describe one kind of resource. A state is a dict of plain values.

    `change.py` adds check mode, diff, journal and rollback; a kind only says what it is.
    """

    late = False
    """On rollback, set back after everything else, once (a service restart: the files must be back first)."""

    repeatable = True
    """May `undo` be done again, after a rollback that was cut short? What only a command can undo may not."""

    def read(self, name: str, view: View) -> State:
        """The state now. `view` reads other states, through the overlay of check mode."""
        raise NotImplementedError

    def write(self, name: str, state: State) -> None:
        """Make it so. Doing it twice is harmless."""
        raise NotImplementedError

    def same(self, now: State, wanted: State) -> bool:
        """Is every part of the wanted state so already?"""
        return all(now.get(key) == value for key, value in wanted.items())

    def merged(self, before: State, wanted: State) -> State:
        """The state after: what is wanted, and for the rest what was there before."""
        return dict(before, **wanted)

    def predict(self, before: State, after: State) -> State:
        """What `read` would return after `write`: the overlay of check mode holds it."""
        return after

    def refusal(self, name: str, before: State, after: State) -> Optional[str]:
        """Why this cannot be done, as far as that can be told before; None when nothing speaks against it."""
        return None

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """The state before as the journal keeps it: JSON-able, with its bytes safe on disk."""
        return before

    def load(self, saved: State, journal: Journal) -> State:
        """The state that `save` kept, ready for `write`."""
        return saved

    def recover(self, name: str) -> None:
        """Clear what a killed `write` left behind."""

    def fingerprint(self, state: State) -> State:
        """The JSON-able part of a state that tells whether somebody else changed it since."""
        return state

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        """Kind and name of what else a step changes and takes back: a package's configuration files, say."""
        return []

    def irreversible(self, saved: State) -> Optional[str]:
        """Why a step of this kind cannot be taken back; None when it can."""
        return None

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        """Take a step back."""
        change.set(kind, name, self.load(saved, journal))

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        """Before and after as text for people."""
        after = dict(before, **after)
        return {
            "before_header": name,
            "after_header": name,
            "before": "".join("%s: %s\n" % pair for pair in sorted(before.items()) if pair not in after.items()),
            "after": "".join("%s: %s\n" % pair for pair in sorted(after.items()) if pair not in before.items()),
        }


class Action(Kind):
    """Something done rather than a state: a unit restarted. `state` holds its details."""

    late = True

    def read(self, name: str, view: View) -> State:
        return {}

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        change.act(kind, name, **saved)


def kind_named(name: str) -> Kind:
    """The kind defined by resources/NAME.py."""
    kind: Kind = import_module("wxops.agent.resources." + name).KIND
    return kind
