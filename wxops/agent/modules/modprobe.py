"""Modules of the kernel, loaded now and at every boot."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.text_file import make_directories

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Pattern

    from wxops.agent.change import Change

MODULES_LOAD = "/etc/modules-load.d"
MODPROBE = "/etc/modprobe.d"


def modprobe(
    change: Change,
    name: str,
    state: Literal["absent", "present"] = "present",
    params: str = "",
    persistent: Literal["disabled", "present", "absent"] = "disabled",
) -> Dict[str, Any]:
    """Load a kernel module, or unload it.

    name: the module.
    state: whether it is to be loaded now.
    params: its parameters, as NAME=VALUE NAME=VALUE. One that is loaded keeps those that it has.
    persistent: present loads it at every boot, with these parameters (/etc/modules-load.d and /etc/modprobe.d); absent
        comments out what says so there; disabled leaves those files alone.
    """
    wanted = {"loaded": state == "present"}
    if change.check and change.state("kernel_module", name) != wanted:
        _must_work(change, name, state, params)
    change.set("kernel_module", name, dict(wanted, params=shlex.split(params)) if wanted["loaded"] else wanted)
    if persistent != "disabled":
        _keep(change, name, params, persistent)
    return {"name": name, "params": params, "state": state}


def _must_work(change: Change, name: str, state: str, params: str) -> None:
    """What modprobe would say, or else a check would pass what the run refuses."""
    asked = [name, *shlex.split(params)] if state == "present" else ["-r", name]
    try:
        done = run(["modprobe", "-n", *asked], environment={"LC_ALL": "C"})
        said = (done.stderr or done.stdout).strip() if done.rc else ""
    except ModuleFailure as failure:
        said = str(failure)
    if said and not change.view.pending("package"):  # which may bring it
        raise ModuleFailure(said)
    if said:
        change.warnings.append("%s (but earlier tasks of this check would have installed packages)" % said)


def _keep(change: Change, name: str, params: str, persistent: str) -> None:
    named = re.compile(r"^ *%s *([#;].*)?$" % re.escape(name))
    options = re.compile(r"^options %s (\w+=\S+) *([#;].*)?$" % re.escape(name))
    wanted = set(params.split()) if persistent == "present" else set()
    if persistent == "absent":
        _comment_out(change, MODULES_LOAD, named)
    elif not _matches(change, MODULES_LOAD, named):
        _put(change, os.path.join(MODULES_LOAD, name + ".conf"), name + "\n")
    if {found.group(1) for found in _matches(change, MODPROBE, options)} != wanted:
        _comment_out(change, MODPROBE, options)
        if wanted:
            text = "".join("options %s %s\n" % (name, parameter) for parameter in params.split())
            _put(change, os.path.join(MODPROBE, name + ".conf"), text)


def _files(change: Change, folder: str) -> List[str]:
    """Those on disk, and those that only this check has."""
    there = os.listdir(folder) if os.path.isdir(folder) else []
    paths = {os.path.join(folder, name) for name in there}
    paths |= {path for path in change.view.pending("file") if os.path.dirname(path) == folder}
    return sorted(path for path in paths if change.file(path, follow=True)["type"] == "file")


def _lines(change: Change, path: str) -> List[str]:
    return (change.read(path) or b"").decode("utf-8", "surrogateescape").splitlines()


def _matches(change: Change, folder: str, pattern: Pattern[str]) -> List[Any]:
    lines = [line for path in _files(change, folder) for line in _lines(change, path)]
    return [found for found in map(pattern.match, lines) if found is not None]


def _comment_out(change: Change, folder: str, pattern: Pattern[str]) -> None:
    for path in _files(change, folder):
        lines = _lines(change, path)
        if any(map(pattern.match, lines)):
            _put(change, path, "".join(("#" if pattern.match(line) else "") + line + "\n" for line in lines))


def _put(change: Change, path: str, text: str) -> None:
    make_directories(change, os.path.dirname(path))
    change.write(path, text.encode("utf-8", "surrogateescape"))
