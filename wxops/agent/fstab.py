"""The lines of fstab(5): one found by its mount point, set, or taken out; the rest stays as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

FIELDS = ("src", "name", "fstype", "opts", "dump", "passno")


def escaped(field: str) -> str:
    """As a field can hold it."""
    return field.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("&", "\\046")


def entry_of(line: str) -> Optional[Dict[str, str]]:
    """The fields of a line, still escaped; None for a comment and what is no entry."""
    fields = line.split("#")[0].split()
    if not 4 <= len(fields) <= len(FIELDS) or line.lstrip().startswith("#"):
        return None
    return dict(zip(FIELDS, [*fields, "0", "0"]))


def with_entry(text: str, entry: Dict[str, str]) -> str:
    """The file with this entry in it. Swap has no mount point of its own, so it is found by its source."""
    wanted = {name: escaped(entry[name]) for name in FIELDS}
    new = " ".join(wanted[name] for name in FIELDS)
    is_it = _finder(wanted)
    lines, found = [], False
    for line in text.splitlines():
        here = is_it(line)
        found = found or here
        lines.append(new if here and entry_of(line) != wanted else line)
    return _joined(lines if found else [*lines, new], text)


def without_entry(text: str, name: str, source: Optional[str]) -> str:
    """The file without the entry of a mount point."""
    wanted = {"name": escaped(name), **({"src": escaped(source)} if source is not None else {})}
    is_it = _finder(wanted)
    return _joined([line for line in text.splitlines() if not is_it(line)], text)


def _finder(wanted: Dict[str, str]) -> Callable[[str], bool]:
    def is_it(line: str) -> bool:
        found = entry_of(line)
        if found is None or found["name"] != wanted["name"]:
            return False
        swap = found["name"] == "none" and found["fstype"] == "swap"
        return not (swap and "src" in wanted and found["src"] != wanted["src"])

    return is_it


def _joined(lines: List[str], before: str) -> str:
    """Unchanged lines are the text unchanged, also where its last newline is missing."""
    return before if lines == before.splitlines() else "".join(line + "\n" for line in lines)
