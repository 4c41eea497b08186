"""SHA-256 of many large files at once: hashlib lets other threads run, so the limit is the disk or the cores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOST_THREADS = 16


def threads() -> int:
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


def hash_file(path: Path) -> str:
    """In hex. Raise OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(directory: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """Path -> digest. The largest file comes first, or else it would be read alone at the end. Raise OSError."""
    order = sorted(sizes, key=lambda path: -sizes[path])
    with ThreadPoolExecutor(threads()) as pool:
        return dict(zip(order, pool.map(lambda path: hash_file(directory / path), order), strict=True))
