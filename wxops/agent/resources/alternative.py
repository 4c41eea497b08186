"""A group of alternatives (editor, java): changed by update-alternatives(1), taken back as the links that it had."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.resources import Kind, kind_named

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from wxops.agent.change import Change, View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

RECORDS = ("/var/lib/dpkg/alternatives", "/var/lib/alternatives")  # Debian's, the RHEL family's
LINKS = "/etc/alternatives"
COMMANDS = "commands"
"""The key of a wanted state for the words after `update-alternatives` that lead there."""
MODE = re.compile(r"\s-\s(?:status\sis\s)?(\w+)", re.MULTILINE)
CURRENT = re.compile(r"^\s*link currently points to (.*)$", re.MULTILINE)
LINK = re.compile(r"^\s*link \S+ is (.*)$", re.MULTILINE)
SUBCOMMAND_LINK = re.compile(r"^\s*(?:slave|follower) (\S+) is (.*)$", re.MULTILINE)
CHOICE = re.compile(r"^(/.*?)\s-\s(?:family\s(\S+)\s)?priority\s(-?\d+)((?:\n\s+(?:slave|follower) .*)*)", re.MULTILINE)
SUBCOMMAND = re.compile(r"^\s+(?:slave|follower) (.*?): (.*)$", re.MULTILINE)


class AlternativeKind(Kind):
    """States: {"mode": None} where there is no such group; else mode (auto, manual), link, current (what is chosen),

    and choices: path -> priority, family and subcommands (name -> [link, path]).
    """

    def read(self, name: str, view: View) -> State:
        done = run(["update-alternatives", "--display", name], environment={"LC_ALL": "C"})
        return parsed(done.stdout) if done.rc == 0 else {"mode": None, "choices": {}}

    def same(self, now: State, wanted: State) -> bool:
        return all(now.get(key) == value for key, value in wanted.items() if key != COMMANDS)

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != COMMANDS}

    def write(self, name: str, state: State) -> None:
        for words in state[COMMANDS]:
            done = run(["update-alternatives", *words], environment={"LC_ALL": "C"})
            if done.rc != 0:
                raise ModuleFailure(done.stderr.strip() or "update-alternatives failed", **done.result())

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """The record and every link of the group, before and after: they are the group."""
        file = kind_named("file")
        saved = []
        for path in _files(name, before, after):
            now = file.read(path, None)  # type: ignore[arg-type]  # needs no other state
            saved.append([path, file.save(path, now, {"type": "absent"}, journal)])
        return {"mode": before["mode"], "files": saved}

    def fingerprint(self, state: State) -> State:
        return {key: state.get(key) for key in ("mode", "current", "choices")}

    def undo(self, change: Change, kind: str, name: str, saved: State, journal: Journal) -> None:
        for path, state in saved["files"]:
            change.set("file", path, kind_named("file").load(state, journal))

    def brings_along(self, saved: State) -> List[Tuple[str, str]]:
        return [("file", path) for path, _ in saved["files"]]

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        title = "alternative " + name
        return {"before_header": title, "after_header": title, "before": _shown(before), "after": _shown(after)}


KIND = AlternativeKind()


def parsed(text: str) -> State:
    """What `update-alternatives --display` says, of dpkg or of chkconfig."""
    links = dict(SUBCOMMAND_LINK.findall(text))
    choices: Dict[str, Any] = {}
    for path, family, priority, rest in CHOICE.findall(text):
        named = {name: [links.get(name, ""), target] for name, target in SUBCOMMAND.findall(rest) if target != "(null)"}
        choices[path] = {"priority": int(priority), "family": family, "subcommands": named}
    found = {"mode": MODE.search(text), "current": CURRENT.search(text), "link": LINK.search(text)}
    return dict({key: match.group(1) if match else None for key, match in found.items()}, choices=choices)


def _files(name: str, before: State, after: State) -> List[str]:
    record = next((folder for folder in RECORDS if os.path.isdir(folder)), RECORDS[0])
    paths = [os.path.join(record, name), os.path.join(LINKS, name)]
    for state in (before, after):
        paths.append(state.get("link") or "")
        for choice in state["choices"].values():
            for subcommand, (link, _) in choice["subcommands"].items():
                paths += [os.path.join(LINKS, subcommand), link]
    return [path for path in dict.fromkeys(paths) if path]


def _shown(state: State) -> str:
    if state["mode"] is None:
        return ""
    lines = ["%s: %s\n" % (key, state.get(key)) for key in ("link", "mode", "current")]
    for path, choice in sorted(state["choices"].items()):
        lines.append("%s: priority %s\n" % (path, choice["priority"]))
        lines += ["  %s: %s\n" % (name, target) for name, (_, target) in sorted(choice["subcommands"].items())]
    return "".join(lines)
