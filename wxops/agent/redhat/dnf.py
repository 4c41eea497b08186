"""Running dnf: what it would do, read from the table that it shows, and doing it."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from wxops.agent.debian.apt_get import run_to_the_end
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run
from wxops.agent.redhat.rpm import ENGLISH, nevra

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from wxops.agent.process import Completed
    from wxops.agent.redhat.rpm import Packages

COMING = ("Installing", "Upgrading", "Downgrading", "Reinstalling")
SECTION = re.compile(
    r"^(?P<verb>Installing|Upgrading|Downgrading|Reinstalling|Removing|Skipping)\b[^:\n]*:$", re.MULTILINE
)
# Long names push the other columns to the next line.
ROW = re.compile(
    r"^ (?P<name>\S+)\s+(?P<arch>\S+)\s+(?P<version>\S+)\s+(?P<repo>\S+)\s+[\d.]+(?: [kMGT])?\s*$"
    r"|^ +replacing +(?P<old>\S+) (?P<old_version>\S+)$",
    re.MULTILINE,
)
LOCKS = ("/var/lib/dnf/rpmdb_lock.pid", "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid")
NOTHING = re.compile(
    r"^(?:No match for argument|No package|Unable to find a match)[^:\n]*: (?P<what>.+)$", re.MULTILINE
)
POLL_S = 0.5


class Plan:
    """What dnf would do. wanted: NAME.ARCH -> its versions afterwards, None when it would be gone; done: its words."""

    def __init__(self, done: Completed, packages: Packages, nothing: bool = False) -> None:
        """nothing: it is not to be done."""
        self.done = done
        self.wanted: Dict[str, Optional[List[str]]] = {}
        self.verbs: Dict[str, str] = {}
        table = "" if nothing else done.stdout.partition("Transaction Summary")[0]
        found = list(SECTION.finditer(table))
        for index, section in enumerate(found):
            end = found[index + 1].start() if index + 1 < len(found) else len(table)
            for row in ROW.finditer(table, section.end(), end):
                self._take(section.group("verb"), row.groupdict(), packages)

    def _take(self, verb: str, row: Dict[str, Any], packages: Packages) -> None:
        if row["old"]:
            self.wanted[row["old"]] = None
            self.verbs[row["old"]] = "Removing"
            return
        key = "%(name)s.%(arch)s" % row
        version = row["version"] if ":" in row["version"] else "0:" + row["version"]
        now = self.wanted.get(key, packages.get(key)) or []
        if verb in ("Upgrading", "Downgrading", "Reinstalling"):
            now = [version]
        elif verb == "Installing":
            now = sorted({*now, version})
        elif verb == "Removing":
            now = [each for each in now if each != version]
        else:
            return
        self.wanted[key] = now or None
        self.verbs[key] = verb

    def told(self, before: Packages) -> List[str]:
        """As Ansible's dnf lists what was done."""
        lines = []
        for key, versions in self.wanted.items():
            old, new = before.get(key, []), versions or []
            lines += [
                "Installed: " + nevra(key, each) for each in new if each not in old or self.verbs[key] == "Reinstalling"
            ]
            lines += ["Removed: " + nevra(key, each) for each in old if each not in new]
        return lines


def plan(arguments: Sequence[str], packages: Packages) -> Plan:
    """Ask dnf what it would do. Raises ModuleFailure, with Ansible's values, when it cannot."""
    done = run(["dnf", "--assumeno", "--setopt=exit_on_lock=False", *arguments], environment=ENGLISH)
    found = Plan(done, packages)
    if not found.wanted and done.rc != 0:
        raise failure(done)
    return found


def failure(done: Completed) -> ModuleFailure:
    failures = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("Warning")]
    missing = [
        "No package %s available." % found.group("what") for found in NOTHING.finditer(done.stdout + done.stderr)
    ]
    if missing:
        return ModuleFailure("Failed to install some of the specified packages", failures=missing, rc=1, results=[])
    said = "; ".join(failures) or "dnf ended with %d" % done.rc
    return ModuleFailure(said, failures=failures, rc=done.rc, results=[], stdout=done.stdout, stderr=done.stderr)


class Transaction:
    """One run of dnf that changes packages; `done` afterwards. Nothing cuts it short."""

    def __init__(self, arguments: Sequence[str], output: Any) -> None:
        self.arguments, self.output = list(arguments), output
        self.notes: List[str] = []
        self.done: Optional[Completed] = None

    def run(self) -> None:
        self.done = run_to_the_end(["dnf", "-y", *self.arguments], self.output)
        if self.done.rc != 0:
            raise failure(self.done)


def wait_for_lock(timeout: float) -> None:
    """Until no other dnf works. Raises ModuleFailure, which says who does, after `timeout` s; 0 waits for ever."""
    started = time.monotonic()
    while True:
        holder = next(filter(None, map(_holder, LOCKS)), None)
        if holder is None:
            return
        if timeout and time.monotonic() - started >= timeout:
            raise ModuleFailure("%s, still after %g s; wait for it to end, or raise `lock_timeout`" % (holder, timeout),
                                results=[], rc=1)  # fmt: skip
        time.sleep(POLL_S)


def _holder(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8") as file:
            pid = int(file.read().strip() or 0)
        with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="replace") as file:
            command = " ".join(word for word in file.read().split("\0") if word)
    except (OSError, ValueError):
        return None
    return "%s is held by process %d (%s)" % (path, pid, command) if pid != os.getpid() else None
