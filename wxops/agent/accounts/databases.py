"""The account databases in /etc, line by line: read without NSS, written under the lock that useradd(8) takes.

Knowing the exact lines, and where they stood, is what lets a rollback put back exactly those.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

    Placed = List[List[Any]]  # [index, line] of each line of one name

DATABASES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
LOCK = ".pwd.lock"  # lckpwdf(3)
LOCK_TIMEOUT_S = 60


class Accounts:
    """The databases as they are now: read when first asked for, changed in memory, saved together."""

    def __init__(self, folder: str = "/etc") -> None:
        self.folder = folder
        self._lines: Dict[str, List[str]] = {}
        self._as_read: Dict[str, List[str]] = {}

    def path(self, database: str) -> str:
        return os.path.join(self.folder, database)

    def lines(self, database: str) -> List[str]:
        """The lines of a database, newlines removed; none where the host has no such file."""
        if database not in self._lines:
            try:
                with open(self.path(database), encoding="utf-8", errors="surrogateescape") as file:
                    text = file.read()
                self._lines[database] = (text[:-1] if text.endswith("\n") else text).split("\n") if text else []
            except FileNotFoundError:
                self._lines[database] = []
            self._as_read[database] = list(self._lines[database])
        return self._lines[database]

    def fields(self, database: str, name: str) -> Optional[List[str]]:
        """The fields of a name's first line."""
        start = name + ":"
        return next((line.split(":") for line in self.lines(database) if line.startswith(start)), None)

    def placed(self, database: str, name: str) -> Placed:
        """A name's lines, each with the index where it stands (subuid may have several)."""
        start = name + ":"
        return [[index, line] for index, line in enumerate(self.lines(database)) if line.startswith(start)]

    def put_back(self, database: str, name: str, placed: Placed) -> None:
        """A name's lines as `placed` had them; other names' lines stay as they are."""
        if self.placed(database, name) == placed:
            return
        start = name + ":"
        kept = [line for line in self.lines(database) if not line.startswith(start)]
        for index, line in placed:
            kept.insert(index, line)
        self._lines[database] = kept

    def set_field(self, database: str, name: str, field: int, value: str) -> None:
        start = name + ":"
        for index, line in enumerate(self.lines(database)):
            if line.startswith(start):
                fields = line.split(":")
                fields[field] = value
                self._lines[database][index] = ":".join(fields)

    def members(self, database: str) -> Dict[str, List[str]]:
        """Group -> its listed members, of `group` or `gshadow`."""
        found = {}
        for line in self.lines(database):
            fields = line.split(":")
            if len(fields) == 4:
                found[fields[0]] = [member for member in fields[3].split(",") if member]
        return found

    def set_members(self, database: str, group: str, members: List[str]) -> None:
        self.set_field(database, group, 3, ",".join(members))

    def save(self) -> None:
        """Write back each database that differs from what was read."""
        changed = [database for database in self._lines if self._lines[database] != self._as_read[database]]
        for database in changed:
            _replace(self.path(database), self._lines[database])
        if changed:
            _tell_caches()


@contextlib.contextmanager
def editing(folder: str = "/etc") -> Iterator[Accounts]:
    """The databases under their lock; what was changed is saved at the end."""
    descriptor = os.open(os.path.join(folder, LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor)
        accounts = Accounts(folder)
        yield accounts
        accounts.save()
    finally:
        os.close(descriptor)


def clear_interrupted(folder: str = "/etc") -> None:
    """Remove the locks and half-written files that a killed useradd or groupmod left, and those of a killed `save`."""
    with editing(folder):  # nobody is at work now
        for database in DATABASES:
            for ending in (".lock", "+", NEW):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, database + ending))


NEW = ".wxops-new"


def _take(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise ModuleFailure(
                    "the account databases were locked by another program for %d seconds (/etc/%s)"
                    % (LOCK_TIMEOUT_S, LOCK)
                ) from None
            time.sleep(0.1)


def _replace(path: str, lines: List[str]) -> None:
    """New lines under the old name, mode and owner, in one step."""
    temporary = path + NEW
    now = os.stat(path)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
        file.flush()
        os.fchown(file.fileno(), now.st_uid, now.st_gid)
        os.fchmod(file.fileno(), now.st_mode & 0o7777)
        shutil.copystat(path, temporary)  # the SELinux label too
        os.utime(temporary)
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _tell_caches() -> None:
    """nscd and sssd remember accounts; shadow's own tools tell them in the same way."""
    if os.path.exists("/run/nscd/socket"):
        for table in ("passwd", "group"):
            run(["nscd", "-i", table])
    if os.path.exists("/var/lib/sss/pipes/nss"):
        run(["sss_cache", "-UG"])
