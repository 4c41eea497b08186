"""Digests of files on the controller: read once for all hosts, however many ask at the same time."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

CHUNK = 8 * 1024 * 1024
SMALL = 1024 * 1024
"""A smaller file is hashed in less time than threads take to start."""
ALL = ("sha256", "sha1", "md5")


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
        self.found: dict[str, str] = {}


@functools.lru_cache(maxsize=4096)
def _once(path: Path, *version: int) -> _Once:
    return _Once()


def digests(path: Path) -> Digests:
    """Of a file as it is now; one that was changed since (by inode, size or time) is read again. Raises OSError."""
    return Digests(*_found(path, ALL))


def sha256(path: Path) -> str:
    """The one that decides what is sent: of a large file it costs a quarter of all three. Raises OSError."""
    return _found(path, ("sha256",))[0]


def _found(path: Path, names: Sequence[str]) -> list[str]:
    status = path.stat()
    once = _once(path, status.st_ino, status.st_size, status.st_mtime_ns)
    with once.lock:
        missing = [name for name in names if name not in once.found]
        if missing and status.st_size < SMALL:
            once.found = asdict(of_bytes(path.read_bytes()))
        elif missing:
            once.found.update(_of_file(path, missing))
        return [once.found[name] for name in names]


def of_bytes(data: bytes) -> Digests:
    return Digests(*(hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ALL))


def _of_file(path: Path, names: Sequence[str]) -> dict[str, str]:
    """In one reading, side by side: hashlib lets other threads run, and MD5 alone takes half the time."""
    sums = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with path.open("rb") as file, ThreadPoolExecutor(len(sums)) as pool:
        chunk = file.read(CHUNK)
        while chunk:
            updates = [pool.submit(each.update, chunk) for each in sums.values()]
            chunk = file.read(CHUNK)
            for update in updates:
                update.result()
    return {name: each.hexdigest() for name, each in sums.items()}
