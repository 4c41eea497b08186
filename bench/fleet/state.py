"""What the work leaves on a light host, looked at from outside: its proof, and how it is taken away again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from stat import filemode

from bench.measure import BenchError
from wxops.lab.light import LightHost

WORK = "srv/fleet"


def require_done(hosts: Sequence[LightHost], tool: str) -> None:
    """BenchError unless each host has all of the work, with the modes and owners that it should have."""
    for host in hosts:
        found, wanted = _found(host), _wanted(host, len(hosts))
        if found != wanted:
            raise BenchError(f"{tool} left {found} on {host.name}, not {wanted}")


def take_away(hosts: Sequence[LightHost]) -> None:
    """As before the work."""
    for host in hosts:
        shutil.rmtree(host.root / WORK, ignore_errors=True)


def _wanted(host: LightHost, count: int) -> dict[str, tuple[str, str]]:
    return {
        ".": ("drwxr-x--- 0 0", ""),
        "current": ("lrwxrwxrwx 0 0", f"/{WORK}/note.txt"),
        "note.txt": ("-rw-r----- 0 0", f"{host.name} of {count}\n"),
        "settings": ("-rw-r--r-- 0 0", "forwarding = no\n"),
    }


def _found(host: LightHost) -> dict[str, tuple[str, str]]:
    """Path below the work's folder -> type, mode and owners, and what a file holds or a link leads to."""
    folder = host.root / WORK
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))] if folder.exists() else []:
        status = path.lstat()
        about = f"{filemode(status.st_mode)} {status.st_uid} {status.st_gid}"
        found[str(path.relative_to(folder))] = (about, _content(path))
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_text() if path.is_file() else ""
