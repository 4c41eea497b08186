"""A kernel parameter as it is now, in /proc/sys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict

    from wxops.agent.change import View
    from wxops.agent.resources import State

ROOT = "/proc/sys"


class SysctlKind(Kind):
    """The name is the parameter's path below /proc/sys. States: {"value": text with single spaces, or None}."""

    def read(self, name: str, view: View) -> State:
        try:
            with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
                return {"value": " ".join(file.read().split())}
        except OSError:  # not there, or it can only be written
            return {"value": None}

    def write(self, name: str, state: State) -> None:
        if state["value"] is None:
            return  # it was not there, or could not be read: there is nothing to put back
        try:
            with open(os.path.join(ROOT, name), "w", encoding="utf-8") as file:
                file.write(state["value"] + "\n")
        except OSError as error:
            raise ModuleFailure(
                "the kernel does not take %s = %s: %s" % (shown(name), state["value"], error.strerror)
            ) from None

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        title = shown(name)
        lines = ["%s = %s\n" % (title, state["value"]) for state in (before, after)]
        return {"before_header": title, "after_header": title, "before": lines[0], "after": lines[1]}


KIND = SysctlKind()


def path_of(parameter: str) -> str:
    """`net.ipv4.ip_forward` or `net/ipv4/conf/eth0.7/forwarding` as a path below /proc/sys, by sysctl(8)'s rule:

    the first separator says which of the two is one; the other is part of a name, written the other way round.
    """
    first = next((letter for letter in parameter if letter in "./"), ".")
    return parameter if first == "/" else parameter.translate(str.maketrans("./", "/."))


def shown(name: str) -> str:
    """The path as people write it."""
    return name.translate(str.maketrans("./", "/."))
