"""What is installed, as dpkg and apt wrote it down: read from their files, and again only when those change."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    Entry = Dict[str, Any]
    """version, arch; status (installed, config-files, ...); want (install, hold, ...); auto (not asked for by name)."""
    Packages = Dict[str, Entry]
    """By name; by name:arch where the architecture is not the host's own. A package that is not there has no entry."""

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"  # what dpkg has not yet put into STATUS, after a crash
INFO = "/var/lib/dpkg/info"
EXTENDED_STATES = "/var/lib/apt/extended_states"


def packages() -> Packages:
    """All packages that dpkg knows to be on the host, whole or in part."""
    updates = tuple(os.path.join(UPDATES, name) for name in sorted(_listed(UPDATES)) if name.isdigit())
    return _packages(tuple((path, *_stamp(path)) for path in (STATUS, *updates)), _stamp(EXTENDED_STATES))


def is_installed(entry: Optional[Entry]) -> bool:
    return entry is not None and entry["status"] == "installed"


def key(name: str) -> str:
    """The name under which `packages` has it: without the host's own architecture."""
    plain, _, arch = name.partition(":")
    return plain if arch in ("", "all", "any", native_architecture()) else name


def native_architecture() -> str:
    return str(packages().get("dpkg", {}).get("arch", ""))


def providers(name: str) -> List[str]:
    """The installed packages that provide a virtual one."""
    found = []
    for stanza in _text(STATUS).split("\n\n"):
        provided = _field(stanza, "Provides")
        if name in provided and name in re.findall(r"(?:^|, )([^\s,]+)", provided):
            found.append(key("%s:%s" % (_field(stanza, "Package"), _field(stanza, "Architecture"))))
    return [package for package in found if is_installed(packages().get(package))]


def stanzas() -> Iterator[Tuple[str, str]]:
    """Key and text of every package in dpkg's status file."""
    native = native_architecture()
    for stanza in _text(STATUS).split("\n\n"):
        if stanza.strip():
            yield _key(stanza, native), stanza.strip("\n")


def conffiles(names: List[str]) -> List[str]:
    """The configuration files of these packages: dpkg's conffiles, and those that ucf looks after for them."""
    wanted, found = set(names), []
    for name, stanza in stanzas():
        if name in wanted:
            listed = re.search(r"^Conffiles:\n((?: .*\n?)+)", stanza, re.MULTILINE)
            found += [line.split()[0] for line in listed.group(1).splitlines()] if listed else []
    for line in _text("/var/lib/ucf/registry").splitlines():
        package, _, path = line.partition("\t")
        if package.strip() in wanted:
            found.append(path.strip())
    return found


def leaves_configuration(name: str) -> bool:
    """Whether dpkg keeps a package as `config-files` when it is removed: it has conffiles or a postrm script."""
    return bool(conffiles([name])) or os.path.exists(os.path.join(INFO, name + ".postrm"))


def files_of(name: str) -> List[str]:
    return _text(os.path.join(INFO, name + ".list")).splitlines()


@functools.lru_cache(maxsize=2)
def _packages(status: Tuple[Any, ...], extended: Tuple[int, ...]) -> Packages:
    """The arguments are paths with the times and sizes by which the cache knows that it is still right."""
    found: Packages = {}
    native = _native(_text(STATUS))
    automatic = _automatic(native)
    for path, *_ in status:
        for stanza in _text(path).split("\n\n"):
            want, _, state = _field(stanza, "Status").partition(" ")
            if not state:
                continue
            name = _key(stanza, native)
            found[name] = {
                "version": _field(stanza, "Version"), "arch": _field(stanza, "Architecture"),
                "status": state.split()[-1], "want": want, "auto": name in automatic,
            }  # fmt: skip
    return {name: entry for name, entry in found.items() if entry["status"] != "not-installed"}


def _automatic(native: str) -> frozenset[str]:
    stanzas = _text(EXTENDED_STATES).split("\n\n")
    return frozenset(_key(stanza, native) for stanza in stanzas if _field(stanza, "Auto-Installed") == "1")


def _native(text: str) -> str:
    """dpkg's own architecture is the host's."""
    start = text.find("Package: dpkg\n")
    return _field(text[start : text.find("\n\n", start)], "Architecture") if start >= 0 else ""


def _key(stanza: str, native: str) -> str:
    name, arch = _field(stanza, "Package"), _field(stanza, "Architecture")
    return name if arch in ("", "all", native) else "%s:%s" % (name, arch)


def _field(stanza: str, name: str) -> str:
    start = ("\n" + stanza).find("\n%s: " % name)
    if start < 0:
        return ""
    end = stanza.find("\n", start)
    return stanza[start + len(name) + 2 : None if end < 0 else end]


def _stamp(path: str) -> Tuple[int, ...]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""
