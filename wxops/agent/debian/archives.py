"""The .deb files of versions that are about to go, kept so that a rollback does not depend on a mirror's memory."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.debian.apt_get import environment, known_versions
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, Optional

    from wxops.agent.debian.dpkg import Packages

CACHE = "/var/cache/apt/archives"
TIMEOUT_S = 600


def keep(packages: Packages, folder: str) -> Dict[str, Optional[str]]:
    """Package -> the name of its .deb in `folder`, copied from apt's cache, or fetched while a source still has it.

    None for a version that cannot be had any more, or for which there is no room.
    """
    kept: Dict[str, Optional[str]] = {}
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for name, entry in packages.items():
        file = file_name(name, entry["version"], entry["arch"])
        cached = os.path.join(CACHE, file)
        kept[name] = file if os.path.exists(cached) else None
        if kept[name]:
            _link_or_copy(cached, os.path.join(folder, file))
    missing = {name: entry for name, entry in packages.items() if kept[name] is None}
    if missing:
        _download(missing, folder)
        for name, entry in missing.items():
            file = file_name(name, entry["version"], entry["arch"])
            kept[name] = file if os.path.exists(os.path.join(folder, file)) else None
    return kept


def file_name(name: str, version: str, arch: str) -> str:
    """As apt names what it downloads."""
    return "%s_%s_%s.deb" % (name.partition(":")[0], version.replace(":", "%3a"), arch)


def still_offered(packages: Dict[str, str]) -> bool:
    """Whether apt's sources have all these versions."""
    known = known_versions(list(packages)) if packages else {}
    return all(name in known and version in known[name][1] for name, version in packages.items())


def remember(path: str, name: str, version: str, arch: str) -> None:
    """Put a .deb that came from elsewhere where apt keeps what it downloaded."""
    place = os.path.join(CACHE, file_name(name, version, arch))
    if os.path.isdir(CACHE) and not os.path.exists(place):
        shutil.copyfile(path, place)


def _download(packages: Packages, folder: str) -> None:
    known = known_versions(list(packages))
    wanted = ["%s=%s" % (name, entry["version"]) for name, entry in packages.items()
              if name in known and entry["version"] in known[name][1]]  # fmt: skip
    if not wanted:
        return
    uris = run(["apt-get", "download", "--print-uris", *wanted], environment=environment()).stdout
    size = sum(int(number) for number in re.findall(r"^'[^']*' \S+ (\d+) ", uris, re.MULTILINE))
    if size * 2 < shutil.disk_usage(folder).free:
        run(["apt-get", "download", "-q", *wanted], cwd=folder, environment=environment(), timeout=TIMEOUT_S)


def _link_or_copy(source: str, target: str) -> None:
    if os.path.exists(target):
        return
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
