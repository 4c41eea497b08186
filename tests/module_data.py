"""Cases of host modules as data: a tree of files, arguments, what becomes of the tree and what is returned.

A case in tests/unit/data/modules/MODULE.yml:

    - name: adds a line at the end
      before: {file: "a\\n"}        # the tree; ROOT in arguments and results is its directory
      args: {path: ROOT/file, line: b}
      after: {file: "a\\nb\\n"}       # left out when nothing changes
      result: {msg: line added}      # part of what is returned
      changed: true                  # where it does not follow from `after`
      again: true                    # a second run changes something too
      checked: skipped               # what check mode says, when it cannot know
      failed: does not exist         # for a task that must fail: part of its message
      warns: an empty regexp         # part of a warning
      ours: why                      # where ansible-core does something else on purpose; not held against it

In a tree, a text is a file's content, null a directory, a mapping has `text`, `base64` or `zeros` (that many of them),
`mode`, `mtime`, `link`, `hard`, or `archive`: a format (tar, tgz, tbz, txz, tzst, zip), with the `tree` that is in it.
tests/conformance runs the same cases through ansible-core.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "unit" / "data" / "modules"
BACKUP = re.compile(r"\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~$")
UNCHANGED = object()
PACKERS = {"tar": "--sort=name", "tgz": "-z", "tbz": "-j", "txz": "-J", "tzst": "--zstd"}


@dataclass(frozen=True)
class Case:
    """One promise of a module."""

    module: str
    name: str
    args: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    after: Any = UNCHANGED
    changed: bool | None = None
    again: bool = False
    checked: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    failed: str | None = None
    warns: str | None = None
    ours: str | None = None

    @property
    def id(self) -> str:
        return f"{self.module}: {self.name}"

    @property
    def changes(self) -> bool:
        return self.after is not UNCHANGED if self.changed is None else self.changed


def cases(module: str) -> list[Case]:
    """The cases in MODULE.yml."""
    return [Case(module, **case) for case in yaml.safe_load((DATA / f"{module}.yml").read_text())]


def all_cases(*modules: str) -> list[Case]:
    return [case for module in modules for case in cases(module)]


def at(root: Path, value: Any, server: str = "") -> Any:
    """A value with ROOT as the directory it stands for, and SERVER as a web server's address."""
    if isinstance(value, str):
        return value.replace("ROOT", str(root)).replace("SERVER", server)
    if isinstance(value, dict):
        return {key: at(root, item, server) for key, item in value.items()}
    return [at(root, item, server) for item in value] if isinstance(value, list) else value


def part_of(told: Any, wanted: Any) -> Any:
    """The part of a result that a case speaks of."""
    if isinstance(wanted, dict) and isinstance(told, dict):
        return {key: part_of(told.get(key), value) for key, value in wanted.items()}
    return told


def build(root: Path, tree: dict[str, Any]) -> None:
    """Make a tree. What is in a directory names it: `a/b: text` makes a."""
    root.mkdir(exist_ok=True)
    for name, spec in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        spec = {"text": spec} if isinstance(spec, str) else spec or {}
        if "link" in spec:
            path.symlink_to(at(root, spec["link"]))
        elif "hard" in spec:
            os.link(root / spec["hard"], path)
        elif "archive" in spec:
            pack(path, spec)
        elif content(spec) is not None:
            path.write_bytes(content(spec) or b"")
        else:
            path.mkdir(exist_ok=True)
        if "mode" in spec:
            path.chmod(int(spec["mode"], 8))
    for name, spec in tree.items():
        if isinstance(spec, dict) and "mtime" in spec:
            os.utime(root / name, (spec["mtime"], spec["mtime"]), follow_symlinks=False)


def pack(path: Path, spec: dict[str, Any]) -> None:
    """Make an archive with the programs that people make them with. `names`: what they are told to put in."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), spec["tree"])
        names = spec.get("names") or sorted(spec["tree"])
        if spec["archive"] == "zip":
            command = ["zip", "-q", "-y", *spec.get("options", []), str(path), *names]
        else:
            command = ["tar", PACKERS[spec["archive"]], *spec.get("options", []), "-cf", str(path), *names]
        subprocess.run(command, cwd=folder, check=True)


def content(spec: dict[str, Any]) -> bytes | None:
    if "base64" in spec:
        return base64.b64decode(spec["base64"])
    if "zeros" in spec:
        return bytes(spec["zeros"])
    return spec["text"].encode("utf-8", "surrogateescape") if "text" in spec else None


@dataclass(frozen=True)
class Entry:
    """A file as a person would compare it. `links`: all names of the same file."""

    type: str
    mode: str
    owner: tuple[int, int]
    content: bytes | str
    links: tuple[str, ...] = ()


def snapshot(root: Path) -> dict[str, Entry]:
    """All that is in a tree; the names of backups as BACKUP, without their time."""
    found: dict[str, Entry] = {}
    inodes: dict[int, list[str]] = {}
    for path in sorted(root.rglob("*")):
        inodes.setdefault(path.lstat().st_ino, []).append(str(path.relative_to(root)))
    for path in sorted(root.rglob("*")):
        name, lstat = str(path.relative_to(root)), path.lstat()
        names = inodes[lstat.st_ino] if stat.S_ISREG(lstat.st_mode) else []
        found[BACKUP.sub(".BACKUP", name)] = Entry(
            {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(
                stat.S_IFMT(lstat.st_mode), "other"
            ),
            f"{stat.S_IMODE(lstat.st_mode):04o}",
            (lstat.st_uid, lstat.st_gid),
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "",
            tuple(names) if len(names) > 1 else (),
        )
    return found


def differences(root: Path, tree: dict[str, Any]) -> list[str]:
    """How a tree on disk differs from a described one; modes count where they are described."""
    found, told = snapshot(root), []
    for name, spec in tree.items():
        spec = {"text": spec} if isinstance(spec, str) else spec or {}
        entry = found.get(name)
        if entry is None:
            told.append(f"{name} is missing")
            continue
        if content(spec) is not None and entry.content != content(spec):
            told.append(f"{name} holds {entry.content!r}, not {content(spec)!r}")
        if "link" in spec and entry.content != at(root, spec["link"]):
            told.append(f"{name} links to {entry.content!r}")
        if "hard" in spec and spec["hard"] not in entry.links:
            told.append(f"{name} is not the same file as {spec['hard']}")
        if "mtime" in spec and int((root / name).lstat().st_mtime) != spec["mtime"]:
            told.append(f"{name} is of {(root / name).lstat().st_mtime}, not {spec['mtime']}")
        if "mode" in spec and entry.mode != spec["mode"]:
            told.append(f"{name} has mode {entry.mode}, not {spec['mode']}")
    described = {str(parent) for name in tree for parent in [Path(name), *Path(name).parents]}
    return told + [f"{name} is there" for name in found if name not in described]
