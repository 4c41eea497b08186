"""Digests of files on the controller: read once for all hosts, however many ask at the same time."""

from __future__ import annotations

import functools
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHUNK = 8 * 1024 * 1024
SMALL = 1024 * 1024
"""A smaller file is hashed in less time than threads take to start."""


@dataclass(frozen=True)
class Digests:
    """In hex. sha256 is what wxops goes by; Ansible's modules return the other two."""

    sha256: str
    sha1: str
    md5: str


class _Once:
    """The digests of one version of a file: the first who asks computes them, the others wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: Digests | None = None


@functools.lru_cache(maxsize=4096)
def _once(path: Path, *version: int) -> _Once:
    return _Once()


def digests(path: Path) -> Digests:
    """Of a file as it is now; one that was changed since (by inode, size or time) is read again. Raises OSError."""
    status = path.stat()
    once = _once(path, status.st_ino, status.st_size, status.st_mtime_ns)
    with once.lock:
        if once.found is None:
            once.found = of_bytes(path.read_bytes()) if status.st_size < SMALL else _of_file(path)
        return once.found


def of_bytes(data: bytes) -> Digests:
    return Digests(*(hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ("sha256", "sha1", "md5")))


def _of_file(path: Path) -> Digests:
    """All three in one reading, side by side: hashlib lets other threads run, and MD5 alone takes half the time."""
    sums = [hashlib.new(name, usedforsecurity=False) for name in ("sha256", "sha1", "md5")]
    with path.open("rb") as file, ThreadPoolExecutor(len(sums)) as pool:
        chunk = file.read(CHUNK)
        while chunk:
            updates = [pool.submit(each.update, chunk) for each in sums]
            chunk = file.read(CHUNK)
            for update in updates:
                update.result()
    return Digests(*(each.hexdigest() for each in sums))
