"""What a task asks of packages: names with versions and patterns, against what is installed."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.debian.apt_get import known_versions
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Callable, Iterable, List, Optional

    from wxops.agent.debian.dpkg import Entry, Packages

SPEC = re.compile(r"^([^=<>\s]+)(?:(>?=)([^=\s]+))?$")
PATTERN = set("*?[]!")


class Spec:
    """`foo`, `foo=1.2*` or `foo>=1.2`."""

    def __init__(self, text: str) -> None:
        match = SPEC.match(text)
        if match is None:
            raise ModuleFailure("%r is no package: write foo, foo=1.2* or foo>=1.2" % text)
        self.text = text
        self.name, self.operator, self.version = match.group(1), match.group(2) or "", match.group(3) or ""

    @property
    def key(self) -> str:
        return dpkg.key(self.name)

    def holds(self, entry: Optional[Entry]) -> bool:
        """Is the package installed, in such a version?"""
        if entry is None or not dpkg.is_installed(entry):
            return False
        return self.allows(entry["version"])

    def allows(self, version: str) -> bool:
        if self.operator == "=":
            return fnmatch.fnmatchcase(version, self.version)
        return self.operator != ">=" or is_at_least(version, self.version)


def specs(names: Iterable[str], known: Callable[[], Iterable[str]]) -> List[Spec]:
    """What was asked for, patterns in names replaced by the packages that match. known: the names to choose from.

    A pattern without `:` means the host's own architecture, as for Ansible.
    """
    found: List[Spec] = []
    for text in names:
        spec = Spec(text.strip())
        if not PATTERN & set(spec.name):
            found.append(spec)
            continue
        matches = [name for name in known() if ":" in spec.name or ":" not in name]
        matches = fnmatch.filter(matches, spec.name)
        if not matches:
            raise ModuleFailure("no package matches %r" % spec.name)
        found += [Spec(name + spec.operator + spec.version) for name in sorted(matches)]
    return found


def missing(asked: Iterable[Spec], installed: Packages, only_upgrade: bool) -> List[Spec]:
    """Those that are not there as asked for. A virtual package is there if the one installed package provides it."""
    found = []
    for spec in asked:
        entry = installed.get(spec.key)
        if spec.holds(entry) or (only_upgrade and not dpkg.is_installed(entry)):
            continue
        if entry is None and not spec.operator and _is_provided(spec.name):
            continue
        found.append(spec)
    return found


def _is_provided(name: str) -> bool:
    return len(dpkg.providers(name)) == 1 and name not in known_versions([name])


def removable(asked: Iterable[Spec], installed: Packages, purge: bool) -> List[str]:
    """The names of those that are there; with `purge` also of those whose configuration is."""
    found = []
    for spec in asked:
        entry = installed.get(spec.key)
        if spec.holds(entry) or (purge and entry is not None and not dpkg.is_installed(entry)):
            found.append(spec.name)
    return found


def is_at_least(version: str, least: str) -> bool:
    return run(["dpkg", "--compare-versions", version, "ge", least]).rc == 0
