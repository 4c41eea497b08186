"""Which of several programs a common name (editor, java) stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.alternative import COMMANDS

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

    Choice = Dict[str, Any]

ALIASES = {"slaves": "subcommands"}
DEFAULT_PRIORITY = 50


def alternatives(
    change: Change,
    name: str,
    path: Optional[Path] = None,
    link: Optional[Path] = None,
    priority: Optional[int] = None,
    state: Literal["present", "selected", "auto", "absent"] = "selected",
    subcommands: Optional[List[Dict[str, Any]]] = None,
    family: Optional[str] = None,
) -> Dict[str, Any]:
    """Make a program one of the alternatives for a name, choose it, or remove it.

    name: of the group, as update-alternatives(1) knows it.
    path: the program.
    link: the path that leads to the chosen program; needed for a group that is new.
    priority: which one is chosen in automatic mode; 50 for a new one.
    state: present (one of the alternatives), selected (and chosen), auto (and the choice left to the priorities) or
        absent.
    subcommands: links that follow the choice, each with name, path and link.
    family: of the RHEL family's alternatives; with it instead of a path, the family's program is chosen.
    """
    if path is None and family is None:
        raise ModuleFailure("one of the following is required: path, family")
    group = Group(change, name)
    if state == "absent":
        group.remove(path)
        return group.result()
    if path is not None:
        group.install(path, link, priority, _checked(subcommands), family)
    if state == "selected":
        group.choose(path, family)
    elif state == "auto":
        group.automatic()
    return group.result()


def _checked(subcommands: Optional[List[Dict[str, Any]]]) -> Optional[Dict[str, List[str]]]:
    if subcommands is None:
        return None
    for each in subcommands:
        if set(each) != {"name", "path", "link"}:
            raise ModuleFailure("a subcommand has name, path and link; not %r" % each)
    return {str(each["name"]): [str(each["link"]), str(each["path"])] for each in subcommands}


class Group:
    """The alternatives for a name; each method is a step towards what the task wants."""

    def __init__(self, change: Change, name: str) -> None:
        self._change, self._name = change, name
        self._messages: List[str] = []

    def result(self) -> Dict[str, Any]:
        return {"msg": " ".join(self._messages)}

    def install(self, path: str, link: Optional[str], priority: Optional[int],
                subcommands: Optional[Dict[str, List[str]]], family: Optional[str]) -> None:  # fmt: skip
        now = self._now()
        has: Choice = now["choices"].get(path) or {}
        right = has and priority in (None, has["priority"]) and subcommands in (None, has["subcommands"])
        if right:
            return
        if self._change.file(path, follow=True)["type"] == "absent" and not self._coming():
            raise ModuleFailure("Specified path %s does not exist" % path)
        link = link or now.get("link")
        if not link:
            raise ModuleFailure("Needed to install the alternative, but unable to do so as we are missing the link")
        new: Choice = {
            "priority": has.get("priority", DEFAULT_PRIORITY) if priority is None else priority,
            "family": family or has.get("family", ""),
            "subcommands": has.get("subcommands", {}) if subcommands is None else subcommands,
        }
        words = ["--install", link, self._name, path, str(new["priority"])]
        words += ["--family", family] if family else []
        for name, (place, target) in new["subcommands"].items():
            words += ["--slave", place, name, target]
        choices = dict(now["choices"], **{path: new})
        self._set(words, {"mode": now["mode"] or "auto", "link": link, "choices": choices}, now)
        self._messages.append("Install alternative '%s' for '%s'." % (path, self._name))

    def choose(self, path: Optional[str], family: Optional[str]) -> None:
        now = self._now()
        chosen = now["choices"].get(now.get("current")) or {}
        if now.get("current") == path or (family and chosen.get("family") == family):
            return
        words = ["--set", self._name, str(path or family)]
        target = path or next((each for each, about in now["choices"].items() if about["family"] == family), None)
        self._set(words, {"mode": "manual", "current": target}, now)
        self._messages.append("Set alternative '%s' for '%s'." % (path or family, self._name))

    def automatic(self) -> None:
        now = self._now()
        if now["mode"] == "manual":
            self._set(["--auto", self._name], {"mode": "auto"}, now)
            self._messages.append("Set alternative to auto for '%s'." % self._name)

    def remove(self, path: Optional[str]) -> None:
        now = self._now()
        if path not in now["choices"]:
            return
        choices = {each: about for each, about in now["choices"].items() if each != path}
        mode = ("auto" if now.get("current") == path else now["mode"]) if choices else None
        self._set(["--remove", self._name, str(path)], {"mode": mode, "choices": choices}, now)
        self._messages.append("Remove alternative '%s' from '%s'." % (path, self._name))

    def _now(self) -> Dict[str, Any]:
        return self._change.state("alternative", self._name)

    def _coming(self) -> bool:
        """May a package that this check would have installed bring it?"""
        return bool(self._change.check and self._change.view.pending("package"))

    def _set(self, words: List[str], wanted: Dict[str, Any], now: Dict[str, Any]) -> None:
        after = dict(now, **wanted)
        if after["mode"] == "auto" and after["choices"]:
            after["current"] = max(after["choices"], key=lambda path: after["choices"][path]["priority"])
        if after["mode"] is None:
            after.update(current=None, link=None)
        self._change.set("alternative", self._name, dict(after, **{COMMANDS: [words]}))
