"""The roles that are tried: where each comes from, and a copy of it in the cache. Nothing of them is kept here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("roles.yml")
ANSIBLE = "12.3.0"
"""The release of the PyPI package `ansible` that carries the collections for ansible-core 2.19."""
COLLECTIONS = ("ansible/posix", "ansible/utils", "community/crypto", "community/general")


@dataclass(frozen=True)
class PublicRole:
    """An entry of roles.yml, or a role in a folder of the user's.

    folder: of the role within its repository. vars: what the play sets. prepare: a shell line that a fresh host runs
    first. ignore: paths of the host that no two runs leave alike, each with the reason.
    """

    name: str
    url: str = ""
    commit: str = ""
    folder: str = "."
    vars: Mapping[str, Any] = field(default_factory=dict)
    prepare: str = ""
    ignore: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_a_collection(self) -> bool:
        return self.name.count(".") == 2

    def fetch(self, home: Path) -> None:
        """Have the repository at that commit, and the role under its own name in `home`."""
        if not self.url:
            return
        repository = home / "repositories" / f"{'-'.join(self.url.split('/')[-2:])}-{self.commit[:10]}"
        if not repository.is_dir():
            _clone(self.url, self.commit, repository)
        if self.is_of_a_collection:
            namespace, collection, _ = self.name.split(".")
            _link(home / "collections" / "ansible_collections" / namespace / collection, repository)
        else:
            _link(home / "roles" / self.name, repository / self.folder)


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wxops" / "public"


def roles(wanted: Iterable[str]) -> list[PublicRole]:
    """Those of these names, or all; a word with a slash is the folder of a role. Raises SystemExit for others."""
    known = {entry["name"]: PublicRole(**entry) for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))}
    words = list(wanted)
    wrong = [word for word in words if not (Path(word, "tasks").is_dir() if "/" in word else word in known)]
    if wrong:
        raise SystemExit(f"error: no role {', '.join(wrong)}: name one of {LIST.name}, or a folder with tasks/ in it")
    return [PublicRole(str(Path(word).resolve())) if "/" in word else known[word] for word in words or known]


def fetch_collections(home: Path) -> None:
    """The collections that roles use and ansible-core does not have, out of the wheel of `ansible`."""
    folder = home / "collections" / "ansible_collections"
    if all((folder / name).is_dir() for name in COLLECTIONS):
        return
    downloads = home / "downloads"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(downloads)]
    subprocess.run([*pip, f"ansible=={ANSIBLE}"], check=True)
    (wheel,) = downloads.glob(f"ansible-{ANSIBLE}-*.whl")
    wanted = tuple(f"ansible_collections/{name}/" for name in COLLECTIONS)
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder.parent, [name for name in packed.namelist() if name.startswith(wanted)])
    wheel.unlink()


def _clone(url: str, commit: str, folder: Path) -> None:
    """A repository at a commit; one that could not be had leaves nothing behind."""
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", url, str(draft)], check=True)
    subprocess.run(["git", "-C", str(draft), "checkout", "--quiet", commit], check=True)
    draft.rename(folder)


def _link(name: Path, target: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    name.symlink_to(target)
