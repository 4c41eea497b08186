"""Host keys that ssh trusts."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wxops.agent.attributes import describe
from wxops.agent.failure import ModuleFailure
from wxops.agent.known_host import parsed, with_hashed_host

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Tuple

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.known_host import KnownHost

ALIASES = {"host": "name"}


def known_hosts(
    change: Change,
    name: str,
    key: Optional[str] = None,
    path: Path = "~/.ssh/known_hosts",
    hash_host: bool = False,
    state: Literal["absent", "present"] = "present",
) -> Dict[str, Any]:
    """Add a host's key to known_hosts, put a new one in its place, or take it away.

    name: the host, as `key` names it; with another port than 22 as [host]:port.
    key: the line of known_hosts: `HOST TYPE KEY`. One of the same type is replaced. Without it absent removes all keys.
    path: of the file, whose directory must exist.
    hash_host: write the host's name as a hash, so that who reads the file does not learn where we go.
    state: present or absent.
    """
    host = name.lower()
    if not key and state != "absent":
        raise ModuleFailure("No key specified when adding a host")
    path = os.path.expanduser(path)
    line = _line(key, host, hash_host) if key else None
    before = change.read(path)
    lines = (before or b"").decode("utf-8", "surrogateescape").splitlines(True)
    if line is None:
        after = _without(lines, host)
    else:
        at, same = _find(lines, host, line)
        after = _present(lines, at, same, line) if state == "present" else _absent(lines, at)
    if after != lines:
        change.write(path, "".join(after).encode("utf-8", "surrogateescape"))
    shown = {"before_header": path, "after_header": path, "before": "".join(lines), "after": "".join(after)}
    return {"diff": shown, "name": name, "key": key, "path": path, "hash_host": hash_host, **describe(change, path)}


def _line(key: str, host: str, hash_host: bool) -> str:
    """The line to write. Raises ModuleFailure when it is not one of that host's."""
    if re.search(r"\S\s*,\s*", host):
        raise ModuleFailure("Comma separated list of names is not supported. Please pass a single name.")
    text = with_hashed_host(key, host) if hash_host else key
    entries = [parsed(each) for each in text.splitlines()]
    if not any(entry is not None and entry.names(host) for entry in entries):
        raise ModuleFailure("Host parameter does not match hashed host field in supplied key")
    return text if text.endswith("\n") else text + "\n"


def _find(lines: List[str], host: str, line: str) -> Tuple[Optional[int], bool]:
    """Where the host's key of that type stands, and whether it is the very one."""
    new = parsed(line.splitlines()[0])
    if new is None:
        raise ModuleFailure("the key is no line of known_hosts: write HOST TYPE KEY")
    for number, text in enumerate(lines):
        entry = parsed(text)
        if entry is None or not entry.names(host):
            continue
        if entry.same(new):
            return number, True
        if not entry.marker and entry.type == new.type:
            return number, False
    return None, False


def _present(lines: List[str], at: Optional[int], same: bool, line: str) -> List[str]:
    if same:
        return lines
    kept = [text for number, text in enumerate(lines) if number != at]
    return [*_ended(kept), line]


def _absent(lines: List[str], at: Optional[int]) -> List[str]:
    return [text for number, text in enumerate(lines) if number != at]


def _without(lines: List[str], host: str) -> List[str]:
    """As ssh-keygen -R: lines with a marker stay."""
    return [text for text in lines if not _is_of(parsed(text), host)]


def _is_of(entry: Optional[KnownHost], host: str) -> bool:
    return entry is not None and not entry.marker and entry.names(host)


def _ended(lines: List[str]) -> List[str]:
    """The last line with its newline, or the new key would be glued to it."""
    return [*lines[:-1], lines[-1] + "\n"] if lines and not lines[-1].endswith("\n") else lines
