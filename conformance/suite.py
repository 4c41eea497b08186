"""The integration targets in ansible-core's source distribution: fetched once into a cache, none of it kept here."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

RELEASE = "2.19.14"
# What the issue names first: the file modules, what decides a task's fate, and four that drive the command line.
TARGETS = [
    "stat", "slurp", "replace", "blockinfile", "lineinfile", "assemble", "loops", "until", "changed_when",
    "failed_when", "include_vars", "known_hosts", "tempfile", "wait_for", "copy", "template", "cron", "handlers",
    "tags", "no_log", "check_mode",
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One of them: a role, or a script that calls ansible-playbook itself."""

    name: str
    folder: Path

    @property
    def script(self) -> bool:
        return (self.folder / "runme.sh").is_file()

    @property
    def aliases(self) -> list[str]:
        """What its authors say of it, word by word."""
        file = self.folder / "aliases"
        return file.read_text().split() if file.exists() else []

    @property
    def needs(self) -> list[str]:
        """The roles that it depends on."""
        file = self.folder / "meta" / "main.yml"
        meta = yaml.safe_load(file.read_text()) if file.exists() else None
        return [str(role) for role in (meta or {}).get("dependencies") or [] if isinstance(role, str)]

    @property
    def before(self) -> list[str]:
        """Scripts of other targets that have to run first."""
        return [word.rpartition("/")[2] for word in self.aliases if word.startswith(("setup/once", "setup/always"))]


def targets(names: list[str]) -> list[Target]:
    """Those of these names. Raises SystemExit, with what is wrong, for one that does not exist."""
    folder = integration() / "targets"
    unknown = [name for name in names if not (folder / name).is_dir()]
    if unknown:
        raise SystemExit(f"error: ansible-core {RELEASE} has no integration target {', '.join(unknown)}")
    return [Target(name, folder / name) for name in names]


def integration() -> Path:
    """test/integration of the release, downloaded and unpacked where it is missing."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wxops" / "ansible-core"
    folder = home / f"ansible_core-{RELEASE}"
    if not folder.is_dir():
        archive = home / f"ansible_core-{RELEASE}.tar.gz"
        if not archive.exists():
            _download(home)
        with tempfile.TemporaryDirectory(dir=home) as unpacked, tarfile.open(archive) as packed:
            packed.extractall(unpacked, filter="data")
            with contextlib.suppress(OSError):  # another measurement was as fast
                Path(unpacked, folder.name).rename(folder)
    return folder / "test" / "integration"


def library() -> Path:
    """The data of ansible-test, which stands beside the suite."""
    return integration().parent / "lib" / "ansible_test"


def _download(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), f"ansible-core=={RELEASE}"], check=True)
