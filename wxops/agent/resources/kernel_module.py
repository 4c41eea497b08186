"""A module of the running kernel: loaded and unloaded by modprobe(8)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

LOADED = "/proc/modules"
BUILT_IN = "/lib/modules/%s/modules.builtin"
PARAMETERS = "/sys/module/%s/parameters"
UNKNOWN = ("", "(null)")
"""Values of parameters that were never set, or that the kernel does not show."""


class KernelModuleKind(Kind):
    """States: {"loaded": bool, "params": words as modprobe takes them; those of a loaded one when it was unloaded}."""

    def read(self, name: str, view: View) -> State:
        return {"loaded": is_loaded(name)}

    def same(self, now: State, wanted: State) -> bool:
        return bool(now["loaded"] == wanted["loaded"])

    def merged(self, before: State, wanted: State) -> State:
        return dict(wanted)

    def predict(self, before: State, after: State) -> State:
        return {"loaded": after["loaded"]}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        return dict(before, params=_parameters(name)) if before["loaded"] else before

    def fingerprint(self, state: State) -> State:
        return {"loaded": state["loaded"]}

    def write(self, name: str, state: State) -> None:
        argv = ["modprobe", name, *state.get("params", [])] if state["loaded"] else ["modprobe", "-r", name]
        done = run(argv, environment={"LC_ALL": "C"})
        if done.rc != 0:
            raise ModuleFailure((done.stderr or done.stdout).strip() or "modprobe failed", **done.result())

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        title = "kernel module " + name
        return {"before_header": title, "after_header": title, "before": _shown(before), "after": _shown(after)}


KIND = KernelModuleKind()


def is_loaded(name: str) -> bool:
    """Loaded, or a part of the kernel. The name may also be an alias of modules that are."""
    there = _loaded() | _built_in()
    return _plain(name) in there or (bool(_names_of_alias(name)) and set(_names_of_alias(name)) <= there)


def _plain(name: str) -> str:
    """The kernel writes every hyphen as an underscore."""
    return name.replace("-", "_")


def _loaded() -> Set[str]:
    return {line.split()[0] for line in _lines(LOADED)}


def _built_in() -> Set[str]:
    files = (os.path.basename(line.strip()) for line in _lines(BUILT_IN % os.uname().release))
    return {_plain(re.sub(r"\.ko(\.\w+)?$", "", file)) for file in files}


def _names_of_alias(name: str) -> List[str]:
    try:
        done = run(["modprobe", "-R", name])
    except ModuleFailure:
        return []  # without modprobe nothing is an alias
    return [_plain(word) for word in done.stdout.split()] if done.rc == 0 else []


def _parameters(name: str) -> List[str]:
    """The values that it runs with, so that it can come back with them."""
    folder = PARAMETERS % _plain(name)
    try:
        found = sorted(os.listdir(folder))
    except OSError:
        return []
    values = [(parameter, _value(os.path.join(folder, parameter))) for parameter in found]
    return ["%s=%s" % (parameter, value) for parameter, value in values if value is not None]


def _value(path: str) -> Optional[str]:
    text = "".join(_lines(path)).strip()
    return None if text in UNKNOWN or " " in text else text


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readlines()
    except OSError:
        return []


def _shown(state: State) -> str:
    return "".join(["loaded: %s\n" % state["loaded"], *("%s\n" % word for word in state.get("params", []))])
