"""The firewall that ufw(8) keeps: changed by ufw, taken back as the files that it had, loaded anew."""

from __future__ import annotations

import base64
import glob
import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.place import place
from wxops.agent.process import run
from wxops.agent.resources import Kind, kind_named

if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Tuple

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

SETTINGS = ("/etc/default/ufw", "/etc/ufw/ufw.conf")
RULES = "/etc/ufw/*.rules*"
USER_RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
TUPLE = "### tuple ###"
COMMAND = "command"
"""The key of a wanted state for the words after `ufw` that lead there."""


class UfwKind(Kind):
    """The name is always `firewall`. States: enabled, logging (off, or a level), incoming, outgoing, routed (policies)

    and rules, as ufw keeps them ("### tuple" lines); coming: a check would have made it as new.
    Saved: the bytes of its files.
    """

    def read(self, name: str, view: View) -> State:
        if shutil.which("ufw") is None and view is not None and view.pending("package"):
            return {"enabled": False, "rules": [], "logging": "low", "coming": True, **POLICIES_OF_NEW}
        status = call(["status", "verbose"])
        values, (four, six) = settings(), rules()
        return {"enabled": "Status: active" in status, "rules": [*four, *six], "logging": values.get("LOGLEVEL", "low"),
                **{key: _policy(values, option) for key, option in POLICY_OPTIONS.items()}}  # fmt: skip

    def same(self, now: State, wanted: State) -> bool:
        return COMMAND not in wanted and all(now.get(key) == value for key, value in wanted.items())

    def predict(self, before: State, after: State) -> State:
        return {key: value for key, value in after.items() if key != COMMAND}

    def write(self, name: str, state: State) -> None:
        if COMMAND in state:
            call(state[COMMAND])
        else:
            _put_back(state)

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        file = kind_named("file")
        found = {path: file.read(path, None) for path in _paths()}  # type: ignore[arg-type]  # needs no other state
        kept = {
            path: {"base64": base64.b64encode(state["content"].read()).decode(), "mtime_ns": state["mtime_ns"],
                   "mode": state["mode"], "uid": state["uid"], "gid": state["gid"]}
            for path, state in found.items() if state["type"] == "file"
        }  # fmt: skip
        return dict(before, files=kept)

    def fingerprint(self, state: State) -> State:
        """Rules by their number: how ufw writes one is known only afterwards."""
        shown = {key: value for key, value in state.items() if key not in ("rules", COMMAND, "files", "coming")}
        return dict(shown, count=len(state["rules"]))

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        return {"before_header": "ufw", "after_header": "ufw", "before": _shown(before), "after": _shown(after)}


KIND = UfwKind()
POLICY_OPTIONS = {"incoming": "DEFAULT_INPUT_POLICY", "outgoing": "DEFAULT_OUTPUT_POLICY",
                  "routed": "DEFAULT_FORWARD_POLICY"}  # fmt: skip
POLICIES = {"ACCEPT": "allow", "DROP": "deny", "REJECT": "reject"}
POLICIES_OF_NEW = {"incoming": "deny", "outgoing": "allow", "routed": "deny"}


def call(words: Sequence[str]) -> str:
    done = run(["ufw", *words], environment={"LC_ALL": "C"})
    if done.rc != 0:
        raise ModuleFailure((done.stderr or done.stdout).strip(), commands=["ufw " + " ".join(words)])
    return done.stdout


def rules() -> Tuple[List[str], List[str]]:
    """Those of IPv4 and those of IPv6."""
    four, six = ([line for line in _lines(path) if line.startswith(TUPLE)] for path in USER_RULES)
    return four, six


def settings() -> Dict[str, str]:
    found = [re.match(r'^\s*([A-Z_]+)="?([^"\s]*)"?', line) for path in SETTINGS for line in _lines(path)]
    return {match.group(1): match.group(2) for match in found if match is not None}


def _policy(values: Dict[str, str], option: str) -> str:
    return POLICIES.get(values.get(option, ""), values.get(option, "").lower())


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _paths() -> List[str]:
    return [*SETTINGS, *sorted(glob.glob(RULES))]


def _put_back(state: State) -> None:
    """The files as they were, those that came since away; a firewall that is on takes them at once."""
    if not state["enabled"]:
        call(["--force", "disable"])
    for path in _paths():
        if path not in state["files"]:
            os.unlink(path)
    for path, kept in state["files"].items():
        loaded = kind_named("file").load(dict(kept, type="file"), None)  # type: ignore[arg-type]  # all of it is here
        with place(path) as there:
            there.put_file(loaded)
    if state["enabled"]:
        call(["--force", "enable"])
        call(["reload"])


def _shown(state: State) -> str:
    parts = ["%s: %s\n" % (key, state.get(key)) for key in ("enabled", "logging", "incoming", "outgoing", "routed")]
    return "".join([*parts, *(rule.replace(TUPLE + " ", "") + "\n" for rule in state["rules"])])
