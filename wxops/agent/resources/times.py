"""When a file was last read and written, as `touch` sets it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, Optional

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

NANOSECONDS = 10**9
MOMENT = 10 * NANOSECONDS


class TimesKind(Kind):
    """The name is a path. The state: {"atime_ns", "mtime_ns"}, nothing where there is no file."""

    def read(self, name: str, view: View) -> State:
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            return {}
        return {"atime_ns": found.st_atime_ns, "mtime_ns": found.st_mtime_ns}

    def write(self, name: str, state: State) -> None:
        try:
            os.utime(name, ns=(state["atime_ns"], state["mtime_ns"]), follow_symlinks=False)
        except PermissionError:
            if not _is_now(state):
                raise
            os.utime(name, follow_symlinks=False)  # the one change that is open to who may write it but does not own it

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        owner = os.lstat(name).st_uid
        return before if os.geteuid() in (0, owner) else dict(before, owner=owner)

    def load(self, saved: State, journal: Journal) -> State:
        return {key: value for key, value in saved.items() if key != "owner"}

    def irreversible(self, saved: State) -> Optional[str]:
        return (
            "only its owner can set the times that it had" if saved.get("owner", os.geteuid()) != os.geteuid() else None
        )

    def fingerprint(self, state: State) -> State:
        return {}  # whoever reads the file moves its time: that is no conflict

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return super().diff(name, _readable(before), _readable(after))


KIND = TimesKind()


def _is_now(state: State) -> bool:
    """Both times are the moment at which the module asked for them, or as good as."""
    return bool(state["atime_ns"] == state["mtime_ns"] and abs(time.time_ns() - state["mtime_ns"]) < MOMENT)


def _readable(state: State) -> State:
    return {key[: -len("_ns")]: _moment(value) for key, value in state.items()}


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return "%s.%09d" % (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)), rest)
