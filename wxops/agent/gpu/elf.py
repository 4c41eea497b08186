"""Which libraries a shared library needs (DT_NEEDED), read from its ELF file: 64 bits, little-endian.

Layout: elf(5), and the tables of the System V ABI that it names.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, Dict, Iterator, List, Tuple

MAGIC = b"\x7fELF\x02\x01"
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_STRSZ = 1, 5, 10
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")  # type, flags, offset, address, -, size in the file, size in memory, -
ENTRY = struct.Struct("<qQ")
MOST = 1 << 22
"""Bytes of a table; a file that claims more is not what it seems."""


def needed(path: str) -> List[str]:
    """Nothing for a file that is missing or no such library."""
    try:
        with open(path, "rb") as file:
            return _needed(file)
    except (OSError, ValueError, struct.error):
        return []


def _needed(file: IO[bytes]) -> List[str]:
    head = file.read(64)
    if not head.startswith(MAGIC):
        return []
    segments = list(_segments(file, head))
    tables = [(offset, size) for kind, offset, _, size in segments if kind == PT_DYNAMIC]
    if not tables:
        return []
    entries = list(ENTRY.iter_unpack(_at(file, tables[0][0], tables[0][1] // ENTRY.size * ENTRY.size)))
    known: Dict[int, int] = dict(entries)
    address = known.get(DT_STRTAB, 0)
    loads = [(offset, start) for kind, offset, start, size in segments
             if kind == PT_LOAD and start <= address < start + size]  # fmt: skip
    if not loads:
        return []
    names = _at(file, loads[0][0] + address - loads[0][1], known.get(DT_STRSZ, 0))
    return [names[at : names.index(b"\0", at)].decode("utf-8", "replace") for tag, at in entries if tag == DT_NEEDED]


def _segments(file: IO[bytes], head: bytes) -> Iterator[Tuple[int, int, int, int]]:
    """Type, offset in the file, address, size in the file."""
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    table = _at(file, offset, size * count)
    for number in range(count):
        kind, _, start, address, _, length, _, _ = PROGRAM_HEADER.unpack_from(table, number * size)
        yield kind, start, address, length


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    if size > MOST:
        raise ValueError("a table of %d bytes" % size)
    file.seek(offset)
    return file.read(size)
