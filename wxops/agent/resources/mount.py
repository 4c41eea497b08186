"""What is mounted at a path: mounted, unmounted and remounted by mount(8), and brought back with the same options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent import mountinfo
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

REMOUNT = "remount"
"""The key of a wanted state whose options are to be taken although it is mounted."""
PARTS = ("source", "fstype", "options")


class MountKind(Kind):
    """The name is the mount point. States: layers (how many mounts lie there), and of the topmost

    source, fstype, options, bind (it shows a directory of another mount), device (what the kernel says it is).
    """

    def read(self, name: str, view: View) -> State:
        return mountinfo.describe(name)

    def same(self, now: State, wanted: State) -> bool:
        if wanted.get(REMOUNT):
            return False
        return bool(now["layers"] == wanted["layers"])

    def merged(self, before: State, wanted: State) -> State:
        return dict(before if wanted["layers"] <= before["layers"] else {"bind": False}, **wanted)

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != REMOUNT}

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """With the options to come back to, when only those change."""
        return dict(before, point=name, **({REMOUNT: True} if after.get(REMOUNT) else {}))

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        """What is mounted hides the directory: its mode and owner are seen instead of the directory's."""
        return [("file", saved["point"])]

    def write(self, name: str, state: State) -> None:
        now = mountinfo.describe(name)["layers"]
        if now > state["layers"]:
            _run(["umount", name])
        elif now < state["layers"]:
            _mount(name, state)
        elif state.get(REMOUNT):
            self._remount(name, state)

    def _remount(self, name: str, state: State) -> None:
        options = ",".join(filter(None, ["remount", "bind" if state.get("bind") else "", state["options"]]))
        failed = _try(["mount", "-o", options, state["source"], name])
        if failed is None:
            return
        if state[REMOUNT] == "only":
            raise ModuleFailure(failed)
        _run(["umount", name])
        _mount(name, state)

    def fingerprint(self, state: State) -> State:
        return {"layers": state["layers"]}

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        headers = {"before_header": "mount " + name, "after_header": "mount " + name}
        return dict(headers, before=_shown(before), after=_shown(after))


KIND = MountKind()


def _mount(name: str, state: State) -> None:
    """A bind mount takes its flags only in a second step."""
    if state.get("bind"):
        _run(["mount", "--bind", state["source"], name])
        _run(["mount", "-o", "remount,bind," + state["options"], name])
    else:
        _run(["mount", "-t", state["fstype"], "-o", state["options"], state["source"], name])


def _try(argv: List[str]) -> Optional[str]:
    """Why it failed; None when it did not."""
    done = run(argv, environment={"LC_ALL": "C"})
    said = (done.stderr or done.stdout).strip()
    return None if done.rc == 0 else "%s ended with %d: %s" % (argv[0], done.rc, said)


def _run(argv: List[str]) -> None:
    failed = _try(argv)
    if failed is not None:
        raise ModuleFailure(failed)


def _shown(state: State) -> str:
    parts: Dict[str, Any] = {part: state.get(part) for part in PARTS} if state["layers"] else {}
    return "".join("%s: %s\n" % (part, value) for part, value in parts.items() if value is not None)
