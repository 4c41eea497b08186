"""Files by name, age, size, mode and content. Changes nothing."""

from __future__ import annotations

import contextlib
import fnmatch
import grp
import os
import pwd
import re
import stat as bits
import time
from typing import TYPE_CHECKING

from wxops.agent.content import digest
from wxops.agent.failure import ModuleFailure
from wxops.agent.files import parse_mode
from wxops.agent.modules.stat import BITS, TESTS
from wxops.agent.walking import entries

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path, Raw
    from wxops.agent.change import Change
    from wxops.agent.walking import Entry

    Test = Callable[[Entry], bool]

ALIASES = {
    "name": "paths", "path": "paths", "pattern": "patterns", "exclude": "excludes", "checksum": "checksum_algorithm",
    "checksum_algo": "checksum_algorithm",
}  # fmt: skip
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
TYPES = {"directory": bits.S_ISDIR, "file": bits.S_ISREG, "link": bits.S_ISLNK}


def find(
    change: Change,
    paths: List[Path],
    patterns: Optional[List[str]] = None,
    excludes: Optional[List[str]] = None,
    use_regex: bool = False,
    file_type: Literal["any", "directory", "file", "link"] = "file",
    recurse: bool = False,
    depth: Optional[int] = None,
    follow: bool = False,
    hidden: bool = False,
    age: Optional[str] = None,
    age_stamp: Literal["atime", "ctime", "mtime"] = "mtime",
    size: Optional[str] = None,
    mode: Optional[Raw] = None,
    exact_mode: bool = True,
    contains: Optional[str] = None,
    read_whole_file: bool = False,
    encoding: Optional[str] = None,
    limit: Optional[int] = None,
    get_checksum: bool = False,
    checksum_algorithm: Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "sha1",
) -> Dict[str, Any]:
    """Return the files in directories that fulfil all conditions, as `files`, with what is known of each.

    paths: the directories, with their full path.
    patterns: the name matches one of these shell patterns.
    excludes: ... and none of these.
    use_regex: those are Python's regular expressions, from the beginning of the name on.
    file_type: file, directory, link, or any.
    recurse: look in directories below, too.
    depth: no deeper than so many levels.
    follow: go into directories that links lead to.
    hidden: names that begin with a dot, too.
    age: at least so old: 30s, 5m, 2h, 3d, 4w; with a minus at most so old.
    age_stamp: the time that counts.
    size: at least so large: 10k, 5m, 1g, 1t; with a minus at most so large.
    mode: has this mode, in quotes: "0644" or "u=rw,go=r".
    exact_mode: ... exactly; without it, some bit of it.
    contains: a line of the file begins with this regular expression.
    read_whole_file: ... or the expression is anywhere in the file.
    encoding: of the files' text.
    limit: stop after so many.
    get_checksum: with each file's digest.
    checksum_algorithm: of that digest.
    """
    if mode and not isinstance(mode, str):
        raise ModuleFailure('mode must be in quotes ("0644"): YAML reads %r as another number' % mode)
    if limit is not None and limit <= 0:
        raise ModuleFailure("limit cannot be %d (leave it out for all)" % limit)
    tests: List[Test] = []
    if age is not None:
        tests.append(_of_age(_number(age, SECONDS, "age"), age_stamp))
    if size is not None and file_type in ("any", "file"):
        tests.append(_of_size(_number(size, BYTES, "size"), file_type))
    if mode:
        tests.append(_of_mode(mode, exact_mode))
    search = Search(change, depth, follow, hidden, recurse, limit)
    try:
        search.tests = [_of_type(file_type), _of_name(patterns, excludes, use_regex), *tests]
        if contains is not None and file_type == "file":
            search.tests.append(_holding(re.compile(contains), read_whole_file, encoding))
    except re.error as error:
        raise ModuleFailure("%r is no regular expression: %s" % (error.pattern, error)) from None
    for path in paths:
        search.look_in(os.path.expanduser(os.path.expandvars(path)))
    algorithm = checksum_algorithm if get_checksum and file_type in ("any", "file") else None
    return {
        "files": [_described(entry, algorithm) for entry in search.found], "matched": len(search.found),
        "examined": search.examined, "skipped_paths": search.skipped, "msg": search.message(), "changed": False,
    }  # fmt: skip


class Search:
    """What was found so far, and what could not be looked at."""

    def __init__(self, change: Change, depth: Optional[int], follow: bool, hidden: bool, recurse: bool,
                 limit: Optional[int]) -> None:  # fmt: skip
        self.change, self.tests = change, []  # type: Change, List[Test]
        self.depth, self.follow, self.hidden, self.recurse, self.limit = depth, follow, hidden, recurse, limit
        self.found: List[Entry] = []
        self.skipped: Dict[str, str] = {}
        self.examined = 0

    def look_in(self, top: str) -> None:
        """A directory that is none, or that cannot be read, is skipped with a warning."""
        if self._full():
            return
        try:
            if self.change.file(top, follow=True)["type"] != "directory":
                raise NotADirectoryError("'%s' is not a directory" % top)
            self._walk(top)
        except (OSError, ValueError, LookupError, ModuleFailure) as error:
            self.skipped[top] = str(error)
            self.change.warnings.append("Skipped '%s' path due to this access issue: %s" % (top, error))

    def message(self) -> str:
        if self.change.warnings:
            return "Not all paths examined, check warnings for details"
        return "Limit of matches reached" if self._full() else "All paths examined"

    def _walk(self, top: str) -> None:
        """Level by level, files before directories: the order that Ansible's has."""
        todo = [(top, 1)]
        while todo:
            folder, level = todo.pop()
            below = self._entries(folder)
            self.examined += len(below)
            if self.depth and level > self.depth:
                continue
            for entry in below:
                if (self.hidden or not entry.name.startswith(".")) and all(test(entry) for test in self.tests):
                    self.found.append(entry)
                    if self._full():
                        return
            if self.recurse:
                folders = [entry for entry in below if entry.leads_down and (self.follow or not entry.is_link)]
                todo += [(entry.path, level + 1) for entry in reversed(folders)]

    def _entries(self, folder: str) -> List[Entry]:
        try:
            return entries(self.change, folder)
        except (PermissionError, FileNotFoundError) as error:
            self.skipped[folder] = str(error)
            return []

    def _full(self) -> bool:
        return self.limit is not None and len(self.found) >= self.limit


def _number(text: str, units: Dict[str, int], what: str) -> int:
    match = re.match(r"^(-?\d+)([a-z])?$", text.lower())
    if match is None or (match.group(2) or "") not in {"", *units}:
        raise ModuleFailure("failed to process %s: %r is no number with one of %s" % (what, text, ", ".join(units)))
    return int(match.group(1)) * units.get(match.group(2), 1)


def _of_type(kind: str) -> Test:
    return lambda entry: kind == "any" or TYPES[kind](entry.status.st_mode)


def _of_name(patterns: Optional[List[str]], excludes: Optional[List[str]], use_regex: bool) -> Test:
    texts = [patterns or [".*" if use_regex else "*"], excludes or []]
    wanted, unwanted = ([re.compile(t if use_regex else fnmatch.translate(t)) for t in group] for group in texts)
    return lambda entry: (
        any(each.match(entry.name) for each in wanted) and not any(each.match(entry.name) for each in unwanted)
    )


def _of_age(seconds: int, stamp: str) -> Test:
    now = time.time()

    def test(entry: Entry) -> bool:
        old = now - float(getattr(entry.status, "st_" + stamp))
        return old >= seconds if seconds >= 0 else old <= -seconds

    return test


def _of_size(size: int, file_type: str) -> Test:
    """Of `any`, only files have a size that counts."""

    def test(entry: Entry) -> bool:
        if not bits.S_ISREG(entry.status.st_mode):
            return file_type == "any"
        length = int(entry.status.st_size)
        return length >= size if size >= 0 else length <= -size

    return test


def _of_mode(mode: str, exact: bool) -> Test:
    wanted = bits.S_IMODE(parse_mode(mode, 0, False))

    def test(entry: Entry) -> bool:
        has = bits.S_IMODE(entry.status.st_mode)
        return has == wanted if exact else bool(has & wanted)

    return test


def _holding(expression: Any, whole: bool, encoding: Optional[str]) -> Test:
    def test(entry: Entry) -> bool:
        try:
            with entry.open(encoding) as file:
                if whole:
                    return expression.search(file.read()) is not None
                return any(expression.match(line) for line in file)
        except UnicodeDecodeError:
            told = "Failed to read the file %s due to an encoding error. current encoding: %s"
            raise ValueError(told % (entry.path, encoding or "the host's own")) from None
        except OSError:
            return False

    return test


def _described(entry: Entry, algorithm: Optional[str]) -> Dict[str, Any]:
    status = entry.status
    told: Dict[str, Any] = {
        "path": entry.path, "mode": "%04o" % bits.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
        "size": status.st_size, "inode": status.st_ino, "dev": status.st_dev, "nlink": status.st_nlink,
        "atime": status.st_atime, "mtime": status.st_mtime, "ctime": status.st_ctime, "pw_name": "", "gr_name": "",
    }  # fmt: skip
    told.update((name, test(status.st_mode)) for name, test in TESTS.items())
    told.update((name, bool(status.st_mode & bit)) for name, bit in BITS.items())
    with contextlib.suppress(KeyError):  # a number that no user has
        told["pw_name"] = pwd.getpwuid(status.st_uid).pw_name
    with contextlib.suppress(KeyError):
        told["gr_name"] = grp.getgrgid(status.st_gid).gr_name
    if algorithm is not None and bits.S_ISREG(status.st_mode):
        told["checksum"] = digest(entry.content().chunks(), algorithm)
    return told
