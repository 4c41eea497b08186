"""The record on the host from which a run is taken back: written and synced before each change."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

    from wxops.agent.content import Content


def state_directory() -> str:
    """Where an agent keeps journals and its lock: root's in /var/lib/wxops, a user's in their home."""
    if os.geteuid() == 0:
        return "/var/lib/wxops"
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "wxops")


class Journal:
    """journal/RUN/HOST/: `run.json`, `steps.jsonl` (a line a step and a line when it is done) and kept bytes.

    A step: {"seq", "kind", "name", "before", "after", "task", "module"}; done: {"done": seq}; judged by the
    playbook to be no change: {"void": seq}; taken back: {"undone": run}.
    """

    def __init__(
        self, run: str, host: str = "host", about: Optional[Dict[str, Any]] = None, root: Optional[str] = None
    ) -> None:
        """host: this host's name in the inventory (one machine may have several); about: who runs what."""
        self.run, self.host, self.about = run, host.replace("/", "_"), about
        self.directory = os.path.join(root or state_directory(), "journal", run, self.host)
        self._file: Optional[int] = None
        self._sequence = 0

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def exists(self) -> bool:
        return os.path.exists(self.path("steps.jsonl"))

    def begin(self, step: Dict[str, Any]) -> int:
        """Put a step on disk before it happens; returns its number."""
        self._open()
        self._sequence += 1
        self._append(dict(step, seq=self._sequence, time=round(time.time(), 3)), sync=True)
        return self._sequence

    def done(self, sequence: int) -> None:
        self._append({"done": sequence}, sync=False)

    def void(self, sequence: int) -> None:
        """The playbook judged that step to be no change."""
        self._append({"void": sequence}, sync=False)

    def undone(self, by: str) -> None:
        self._open()
        self._append({"undone": by}, sync=True)

    def steps(self) -> List[Dict[str, Any]]:
        """The steps that changed something, first to last; each with "finished": did it come to its end?"""
        found: Dict[int, Dict[str, Any]] = {}
        for line in self._lines():
            if "seq" in line:
                found[line["seq"]] = dict(line, finished=False)
            elif "done" in line:
                found[line["done"]]["finished"] = True
            elif "void" in line:
                found.pop(line["void"], None)
        return [found[sequence] for sequence in sorted(found)]

    def undone_by(self) -> Optional[str]:
        """The run that took this one back, if one did."""
        return next((line["undone"] for line in self._lines() if "undone" in line), None)

    def keep_content(self, content: Content) -> str:
        """Copy a large file's bytes into the journal; returns their name there."""
        self._open()
        name = "blob-%d" % (self._sequence + 1)
        with content.open() as source, open(self.path(name), "wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
        return name

    def place_for_tree(self, path: str) -> str:
        """A free name in the journal for a directory that is about to be moved there."""
        if any(mount == path or mount.startswith(path + "/") for mount in mount_points()):
            raise ModuleFailure("%s holds a mount point: unmount it before it is removed" % path)
        self._open()
        return "tree-%d" % (self._sequence + 1)

    def _open(self) -> None:
        if self._file is not None:
            return
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        folder = self.directory
        for _ in range(4):  # HOST, RUN, journal and the state directory: makedirs gives `mode` to the last one only
            os.chmod(folder, 0o700)
            folder = os.path.dirname(folder)
        if self.about is not None:
            with open(self.path("run.json"), "w") as file:
                json.dump(self.about, file)
        lines = list(self._lines())
        self._sequence = max((line["seq"] for line in lines if "seq" in line), default=0)
        self._file = os.open(self.path("steps.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if lines:
            os.write(self._file, b"\n")  # ends a line that a crash cut short

    def _append(self, line: Dict[str, Any], sync: bool) -> None:
        assert self._file is not None
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        if sync:
            os.fdatasync(self._file)

    def _lines(self) -> Iterator[Dict[str, Any]]:
        try:
            with open(self.path("steps.jsonl"), "rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError):  # a line cut short by a crash: its step never began
                        yield json.loads(line)
        except FileNotFoundError:
            return


def mount_points() -> List[str]:
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file]
