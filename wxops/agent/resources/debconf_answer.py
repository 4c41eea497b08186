"""An answer to a question that a package asks when it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.debian.debconf_database import question
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Dict, List

    from wxops.agent.change import View
    from wxops.agent.resources import State

HIDDEN = "********"
ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", "DEBIAN_FRONTEND": "noninteractive"}


class DebconfAnswerKind(Kind):
    """The name is `PACKAGE QUESTION`. States: exists; type, value, seen (whether the question counts as asked)."""

    def read(self, name: str, view: View) -> State:
        known = question(name.partition(" ")[2])
        if known is None:
            return {"exists": False}
        seen = "seen" in known.get("Flags", "")
        return {"exists": True, "type": known["Type"], "value": known.get("Value", ""), "seen": seen}

    def merged(self, before: State, wanted: State) -> State:
        return dict(before, **wanted) if wanted["exists"] else dict(wanted)

    def write(self, name: str, state: State) -> None:
        package, _, asked = name.partition(" ")
        if not state["exists"]:
            _tell(package, ["UNREGISTER " + asked])
            return
        line = "%s %s %s %s\n" % (package, asked, state["type"], state["value"])
        data = line.encode("utf-8", "surrogateescape")
        done = run(["debconf-set-selections", "-u"], stdin=data, environment=ENGLISH)
        if done.rc != 0:
            raise ModuleFailure(done.stderr.strip() or "debconf-set-selections ended with %d" % done.rc)
        _tell(package, ["FSET %s seen %s" % (asked, "true" if state.get("seen") else "false")])

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        texts = [_described(state) for state in (before, after)]
        if texts[0] == texts[1]:  # passwords
            texts[1] = texts[1].rstrip("\n") + " (another)\n"
        return {"before_header": name, "after_header": name, "before": texts[0], "after": texts[1]}


KIND = DebconfAnswerKind()


def _described(state: State) -> str:
    if not state["exists"]:
        return ""
    value = HIDDEN if state["type"] == "password" and state["value"] else state["value"]
    return "%s %s%s\n" % (state["type"], value, "" if state.get("seen") else " (not seen)")


def _tell(package: str, lines: List[str]) -> None:
    """Speak debconf's own protocol; each line is answered by one that begins with 0 when it was done."""
    text = "".join(line + "\n" for line in lines)
    done = run(["debconf-communicate", package], stdin=text.encode(), environment=ENGLISH)
    bad = [line for line in done.stdout.splitlines() if not line.startswith("0")]
    if done.rc != 0 or bad:
        raise ModuleFailure("debconf says: %s" % ("; ".join(bad) or done.stderr.strip()))
