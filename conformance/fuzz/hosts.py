"""Fresh hosts for small playbooks: the lab's root file system under an overlay in memory, made in some milliseconds.

A host has no network or processes of its own: an engine is run inside it (`connection: local`), controller and managed
host at once, as ansible-test has it. What both engines need of this machine is bound into it, read-only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.command import run
from wxops.lab.machine import require_lab
from wxops.lab.mounts import mount_overlay, remove_tree
from wxops.lab.rootfs import rootfs

REPOSITORY = Path(__file__).parent.parent.parent
ANSIBLE = Path(os.environ.get("ANSIBLE_PYTHON") or REPOSITORY / ".venv" / "ansible-core" / "bin" / "python")
NAME = "box"
PATIENCE_S = 30
IDENTITY = {"etc/hostname": f"{NAME}\n", "etc/hosts": f"127.0.0.1\tlocalhost {NAME}\n"}


@dataclass(frozen=True)
class FreshHost:
    """Its whole file system is `root`; `upper` holds what differs from the lab's root file system.

    bound: what of this machine is seen in it, under the same path.
    """

    folder: Path
    bound: tuple[Path, ...] = ()

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    def remove(self) -> None:
        """End what still runs in it, such as an agent on its way out, and forget it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for process in _inside(self.root):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            try:
                return remove_tree(self.folder)
            except LabError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


def _inside(root: Path) -> list[int]:
    """The processes whose / this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if os.readlink(process / "root") == str(root):
                found.append(int(process.name))
    return found


@dataclass(frozen=True)
class Hosts:
    """Where fresh hosts are made: a file system in memory, that is gone at the end."""

    folder: Path
    lower: Path

    @property
    def shared(self) -> Path:
        """A directory of this machine that every host sees under the same path: for what engines keep between runs."""
        return self.folder / "shared"

    @property
    def kept_code(self) -> Path:
        """What bytecode/sitecustomize.py keeps."""
        return self.shared / "code"

    def make(self) -> FreshHost:
        host = FreshHost(self.folder / uuid.uuid4().hex[:12], (*needed(), self.shared))
        mount_overlay(self.lower, host.upper, host.folder / "work", host.root)
        run("mount", "-t", "proc", "proc", str(host.root / "proc"))
        for path in host.bound:
            inside = host.root / str(path).lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            run("mount", "--bind", "-o", "rw" if path == self.shared else "ro", str(path), str(inside))
        for name, text in IDENTITY.items():
            (host.root / name).write_text(text)
        return host


@contextlib.contextmanager
def hosts() -> Iterator[Hosts]:
    """A place for fresh hosts. What a process that was killed left of its own is taken away first."""
    require_lab()
    base = Path(os.environ.get("WXOPS_LAB_DIR") or "/var/lib/wxops-lab") / "fresh-hosts"
    for old in base.glob("*"):
        if not Path("/proc", old.name.partition("-")[0]).exists():
            with contextlib.suppress(LabError):  # an engine of it still ends: whoever comes next takes it away
                remove_tree(old)
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=base))
    try:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
        made = Hosts(folder, rootfs())
        made.kept_code.mkdir(parents=True)
        yield made
    finally:
        remove_tree(folder)


def needed() -> list[Path]:
    """Directories of this machine that the engines' Pythons are made of, none inside another."""
    interpreters = [sys.base_prefix, ANSIBLE.absolute().parent.parent, ANSIBLE.resolve().parent.parent]
    found = {Path(path).resolve() for path in [*sys.path, *map(str, interpreters)] if path and Path(path).is_dir()}
    outside = {path for path in {*found, REPOSITORY} if not path.is_relative_to("/usr")}
    return sorted(path for path in outside if not outside & set(path.parents))


def fill(host: FreshHost, folder: Path, inside: str) -> None:
    """Copy a directory into the host, links as links."""
    shutil.copytree(folder, host.root / inside.lstrip("/"), symlinks=True, dirs_exist_ok=True)
