"""When a file was last read and written, as `touch` sets it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict

    from wxops.agent.change import View
    from wxops.agent.resources import State

NANOSECONDS = 10**9


class TimesKind(Kind):
    """The name is a path. The state: {"atime_ns", "mtime_ns"}, nothing where there is no file."""

    def read(self, name: str, view: View) -> State:
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            return {}
        return {"atime_ns": found.st_atime_ns, "mtime_ns": found.st_mtime_ns}

    def write(self, name: str, state: State) -> None:
        os.utime(name, ns=(state["atime_ns"], state["mtime_ns"]), follow_symlinks=False)

    def fingerprint(self, state: State) -> State:
        return {}  # whoever reads the file moves its time: that is no conflict

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return super().diff(name, _readable(before), _readable(after))


KIND = TimesKind()


def _readable(state: State) -> State:
    return {key[: -len("_ns")]: _moment(value) for key, value in state.items()}


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return "%s.%09d" % (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)), rest)
