"""By what a change of files is seen: keys and certificates are replaced while the gateway runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

Stamp = tuple[int, int, int]


def named(section: BaseModel | None) -> Iterator[Path]:
    """The files that a section of the settings, or one within it, names."""
    for value in vars(section).values() if section is not None else ():
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BaseModel):
            yield from named(value)


def stamp(file: Path) -> Stamp:
    """Another one after each change; zeros for a file that is not there."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def stamps(section: BaseModel) -> tuple[Stamp, ...]:
    return tuple(stamp(file) for file in named(section))
