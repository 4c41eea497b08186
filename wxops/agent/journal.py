"""The record on the host from which a run is taken back: written and synced before each change."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import re
import stat
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.folder import sync_directory

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

    from wxops.agent.content import Content

KEPT_RUNS, KEPT_DAYS = 50, 30
"""A journal goes when so many newer ones are there and it is older than that."""
PRUNED = "pruned-"
FILE_CLOCK_S = 0.01
"""By how much the time that the kernel writes on a file may lag: its clock for that ticks."""


def state_directory() -> str:
    """Where an agent keeps journals and its lock: root's in /var/lib/wxops, a user's in their home, or in /var/tmp

    when there is none that they may write to.

    The home as the system knows it: $HOME and $XDG_STATE_HOME may differ from one login to the next, under sudo too.
    """
    if os.geteuid() == 0:
        return "/var/lib/wxops"
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = os.path.expanduser("~")
    if not os.access(home, os.W_OK | os.X_OK):
        return _own_directory("/var/tmp/wxops-%d" % os.geteuid())  # nobody and www-data have no home of their own
    return os.path.join(home, ".local", "state", "wxops")


def _own_directory(path: str) -> str:
    """A directory where anybody may make one, so it is made at once, and only taken when nobody else did."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ModuleFailure("%s should be a directory of this user's alone: remove it" % path)
    return path


class Journal:
    """journal/RUN/HOST/: `run.json`, `steps.jsonl` (a line a step and a line when it is done) and kept bytes.

    A step: {"seq", "kind", "name", "before", "after", "task", "module", "hidden"?}; done: {"done": seq}; judged by the
    playbook to be no change: {"void": seq}; found to hold a secret: {"hide": seq}; taken back: {"undone": run}. Two
    agents of one run may write to it.
    """

    def __init__(
        self, run: str, host: str = "host", about: Optional[Dict[str, Any]] = None, root: Optional[str] = None
    ) -> None:
        """host: this host's name in the inventory (one machine may have several); about: who runs what."""
        self.run, self.host, self.about = run, host.replace("/", "_").lstrip(".") or "_", about
        self.root = os.path.abspath(root or state_directory())
        self.directory = os.path.join(self.root, "journal", run, self.host)
        self._file: Optional[int] = None
        self._sequence = 0
        self._size = 0

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def exists(self) -> bool:
        return os.path.exists(self.path("steps.jsonl"))

    def of_run(self, run: str) -> Journal:
        """Another run's journal on this host; where the host had another name then, the only one there is."""
        own = Journal(run, self.host, root=self.root)
        if own.exists():
            return own
        names = _names(os.path.dirname(own.directory))
        if len(names) > 1:
            raise ModuleFailure(
                "run %s knew this machine as %s, not as %s: name it so in the inventory"
                % (run, " and ".join(names), self.host)
            )
        return Journal(run, names[0], root=self.root) if names else own

    def runs(self) -> List[str]:
        """All runs that have a journal here, oldest first."""
        return [name for name in _names(os.path.join(self.root, "journal")) if not name.startswith(PRUNED)]

    def others(self, moment: float) -> List[Journal]:
        """Those of other runs that went on after that moment (since the epoch), under each name of this machine."""
        found = []
        for run in self.runs():
            for name in _names(os.path.join(self.root, "journal", run)) if run != self.run else ():
                other = Journal(run, name, root=self.root)
                if other.exists() and (run > self.run or other.ended() >= moment - FILE_CLOCK_S):
                    found.append(other)
        return found

    def within(self) -> List[str]:
        """The runs whose commands started this one."""
        try:
            with open(self.path("run.json"), encoding="utf-8") as file:
                return list(json.load(file).get("within", ()))
        except (OSError, ValueError):
            return []

    def for_child(self) -> Journal:
        """The same for a process that was forked off: one descriptor for both would be one lock for both."""
        self._file = None
        return Journal(self.run, self.host, None if self.exists() else self.about, self.root)

    def begin(self, step: Dict[str, Any]) -> int:
        """Put a step on disk before it happens; returns its number."""
        with self._alone():
            self._sequence += 1
            self._append(dict(step, seq=self._sequence, time=round(time.time(), 6)), sync=True)
        return self._sequence

    def done(self, sequence: int) -> None:
        with self._alone():
            self._append({"done": sequence}, sync=False)

    def void(self, sequence: int) -> None:
        """The playbook judged that step to be no change."""
        with self._alone():
            self._append({"void": sequence}, sync=False)

    def hide(self, sequence: int) -> None:
        """The controller found a secret in what that step changed: a rollback is not to show it."""
        with self._alone():
            self._append({"hide": sequence}, sync=False)

    def undone(self, by: str) -> None:
        with self._alone():
            self._append({"undone": by}, sync=True)

    def steps(self) -> List[Dict[str, Any]]:
        """The steps that changed something, first to last; each with "finished": did it come to its end?"""
        found: Dict[int, Dict[str, Any]] = {}
        for line in self._lines():
            if "seq" in line:
                found[line["seq"]] = dict(line, finished=False)
            elif line.get("done") in found:
                found[line["done"]]["finished"] = True
            elif "void" in line:
                found.pop(line["void"], None)
            elif line.get("hide") in found:
                found[line["hide"]]["hidden"] = True
        return [found[sequence] for sequence in sorted(found)]

    def undone_by(self) -> Optional[str]:
        """The last run that took this one back, if one did."""
        return next((line["undone"] for line in reversed(list(self._lines())) if "undone" in line), None)

    def ended(self) -> float:
        """When its last step came to its end (seconds since the epoch)."""
        return os.stat(self.path("steps.jsonl")).st_mtime

    def keep_content(self, content: Content) -> str:
        """Copy a large file's bytes into the journal, synced; returns their name there."""
        import shutil  # only large files and old journals need it

        name = self._free_name("blob")
        try:
            with content.open() as source, open(self.path(name), "wb") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
                target.flush()
                os.fsync(target.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(self.path(name))  # a full disk is not made fuller
            raise
        sync_directory(self.directory)
        return name

    def place_for_tree(self, path: str) -> str:
        """A free name in the journal for a directory that is about to be moved there."""
        if any(mount == path or mount.startswith(path + "/") for mount in mount_points()):
            raise ModuleFailure("%s holds a mount point: unmount it before it is removed" % path)
        return self._free_name("tree")

    def _free_name(self, kind: str) -> str:
        with self._alone():
            return "%s-%d-%d" % (kind, self._sequence + 1, os.getpid())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """The open journal, for us only, with the number of the last step that any agent wrote."""
        if self._file is None:
            self._file = self._open()
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._file).st_size
            if size != self._size:
                self._sequence = max((line["seq"] for line in self._lines() if "seq" in line), default=0)
            yield
        finally:
            self._size = os.fstat(self._file).st_size
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _open(self) -> int:
        if not self.exists():
            self._prune()
        folders = [self.directory]
        while folders[-1] != self.root:
            folders.append(os.path.dirname(folders[-1]))
        os.makedirs(os.path.dirname(self.root), exist_ok=True)
        for folder in reversed(folders):
            _private_directory(folder)
        if self.about is not None:
            with open(self.path("run.json"), "w", encoding="utf-8") as file:
                json.dump(self.about, file)
        descriptor = os.open(self.path("steps.jsonl"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(descriptor).st_size
        if size == 0:
            sync_directory(self.directory)
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")  # ends a line that a crash cut short
        return descriptor

    def _append(self, line: Dict[str, Any], sync: bool) -> None:
        assert self._file is not None
        end = os.fstat(self._file).st_size
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._file, data) :]
            if sync:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, end)  # half a line would spoil the next one
            raise

    def _lines(self) -> Iterator[Dict[str, Any]]:
        try:
            with open(self.path("steps.jsonl"), "rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError):  # a line cut short by a crash: its step never began
                        yield json.loads(line)
        except FileNotFoundError:
            return

    def _prune(self) -> None:
        """Remove journals that nobody will go back to; a run that changes nothing removes none."""
        folder = os.path.join(self.root, "journal")
        oldest = time.time() - KEPT_DAYS * 86400
        for name in self.runs()[: -KEPT_RUNS + 1]:
            with contextlib.suppress(OSError):
                if os.stat(os.path.join(folder, name)).st_mtime < oldest:
                    os.rename(os.path.join(folder, name), os.path.join(folder, PRUNED + name))
        for name in _names(folder):
            if name.startswith(PRUNED):  # also one whose removal was cut short
                import shutil

                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _private_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
        sync_directory(os.path.dirname(path))
    except FileExistsError:
        os.chmod(path, 0o700)


def mount_points() -> List[str]:
    """Where something is mounted. mountinfo writes blanks, newlines and backslashes of a path as octal numbers."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), line.split()[4]) for line in file]
