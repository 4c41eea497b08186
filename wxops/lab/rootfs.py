"""The root file system that all lab hosts share as their lower layer: built once by debootstrap, then cached."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.command import run
from wxops.lab.mounts import every_mount_table, remove_tree

SUITE = "bookworm"
REVISION = 1  # raise it when the steps of _build change: the rest of the recipe notices its own changes
# By debootstrap; EXTRA by apt afterwards, from the security suite too.
BASE = "systemd,systemd-sysv,dbus,udev,openssh-server,python3,sudo,cron,iproute2,ca-certificates,openssl"
EXTRA = ("docker.io", "iptables", "rsync", "acl", "procps", "kmod", "curl")
# Units that only disturb a lab host: apt's timers take the dpkg lock at times of their own, the others look after
# disks and a console that it does not have.
UNWANTED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "fstrim.timer",
    "console-getty.service",
)
OPS_PASSWORD = "a lab password"  # of user ops on every lab host: tests type it at sudo's and sshd's prompts
INSIDE = Path(__file__).parent / "inside"  # files that every host gets
CA_BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class AptSource:
    """One line of an apt source list."""

    uri: str
    suite: str

    def __str__(self) -> str:
        return f"deb {self.uri} {self.suite} main"


def apt_sources() -> tuple[AptSource, ...]:
    """Where this machine's apt finds SUITE: from WXOPS_LAB_MIRROR, else as apt itself reads its source files."""
    if mirror := os.environ.get("WXOPS_LAB_MIRROR"):
        return (AptSource(mirror.rstrip("/"), SUITE),)
    targets = run("apt-get", "update", "--print-uris")
    found = re.findall(rf"'(\S+)/dists/({SUITE}(?:-updates|-security)?)/main/binary-", targets)
    sources = tuple(AptSource(uri, suite) for uri, suite in dict.fromkeys(found))
    if not any(source.suite == SUITE for source in sources):
        raise LabError(
            f"This machine's apt sources name no mirror of Debian {SUITE}.",
            where="/etc/apt",
            fix="Set WXOPS_LAB_MIRROR to one, for example http://deb.debian.org/debian",
        )
    return sources


def apt_settings() -> str:
    """How this machine's apt reaches its mirrors (proxies, certificates, dates), as text for apt.conf.d."""
    settings = run("apt-config", "dump", "--format", '%F "%v";%n', "Acquire").splitlines()
    about_indexes = ("Acquire::IndexTargets", "Acquire::CompressionTypes", "Acquire::Changelogs", "Acquire::cdrom")
    return "".join(f"{line}\n" for line in settings if not line.startswith(about_indexes))


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "wxops" / "lab"


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in the root file system; its digest names the cached folder."""

    sources: tuple[AptSource, ...]
    settings: str
    trusted: str
    base: str = BASE
    extra: tuple[str, ...] = EXTRA
    unwanted: tuple[str, ...] = UNWANTED
    password: str = OPS_PASSWORD
    revision: int = REVISION
    inside: tuple[str, ...] = tuple(file.read_text() for file in sorted(INSIDE.iterdir()))

    @classmethod
    def of_this_machine(cls) -> Recipe:
        bundle = Path("/") / CA_BUNDLE
        return cls(apt_sources(), apt_settings(), bundle.read_text() if bundle.exists() else "")

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def rootfs() -> Path:
    """The folder of the cached root file system, built first (about two minutes) where it is missing."""
    recipe = Recipe.of_this_machine()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"rootfs-{recipe.digest}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _forget_old(cache)
            partial = cache / f"partial-{recipe.digest}"
            _build(recipe, partial)
            partial.rename(folder)
    return folder


def _forget_old(cache: Path) -> None:
    """Delete builds that were cut short and root file systems of older recipes, unless a host runs on one."""
    in_use = every_mount_table()
    for folder in [*cache.glob("partial-*"), *cache.glob("rootfs-*")]:
        if f"lowerdir={folder}," not in in_use:
            remove_tree(folder)


def _build(recipe: Recipe, root: Path) -> None:
    mirror = next(source.uri for source in recipe.sources if source.suite == SUITE)
    # In a mount namespace of its own, so that a build that dies leaves nothing mounted.
    private = ("unshare", "--mount", "--propagation", "private")
    run(*private, "debootstrap", "--variant=minbase", f"--include={recipe.base}", SUITE, str(root), mirror)
    _configure_apt(recipe, root)
    _inside(root, "apt-get", "update")
    _inside(root, "apt-get", "install", "--yes", "--no-install-recommends", *recipe.extra)
    _inside(root, "apt-get", "clean")
    _add_users(recipe, root)
    _add_units(recipe, root)
    for identity in [*root.glob("etc/ssh/ssh_host_*"), root / "etc/machine-id", root / "var/lib/dbus/machine-id"]:
        identity.unlink(missing_ok=True)  # each host gets its own


def _inside(root: Path, *argv: str, text: str | None = None) -> None:
    """Run a program in the root file system, on this machine's network, before it ever booted."""
    nspawn = ("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--resolv-conf=off", "--pipe", "--as-pid2")
    run(*nspawn, "--setenv=DEBIAN_FRONTEND=noninteractive", "-D", str(root), *argv, text=text)


def _configure_apt(recipe: Recipe, root: Path) -> None:
    (root / "etc/apt/sources.list").write_text("".join(f"{source}\n" for source in recipe.sources))
    (root / "etc/apt/apt.conf.d/80lab").write_text(recipe.settings)
    (root / "etc/resolv.conf").write_text(resolv_conf())
    if recipe.trusted:
        (root / CA_BUNDLE).write_text(recipe.trusted)


def _add_users(recipe: Recipe, root: Path) -> None:
    """root logs in by key; ops (uid 1000) by key or password and types it for sudo; deploy needs none for sudo."""
    _inside(root, "useradd", "--create-home", "--uid=1000", "--shell=/bin/bash", "--groups=sudo", "ops")
    _inside(root, "useradd", "--create-home", "--uid=1001", "--shell=/bin/bash", "deploy")
    _inside(root, "chpasswd", text=f"ops:{recipe.password}\n")
    sudoers = root / "etc/sudoers.d/deploy"
    sudoers.write_text("deploy ALL=(ALL:ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)


def _add_units(recipe: Recipe, root: Path) -> None:
    boot = root / "usr/local/lib/wxops-lab/boot.sh"
    boot.parent.mkdir(parents=True)
    shutil.copyfile(INSIDE / "boot.sh", boot)
    boot.chmod(0o755)
    units = root / "etc/systemd/system"
    shutil.copyfile(INSIDE / "wxops-lab.service", units / "wxops-lab.service")
    systemctl = ("systemctl", f"--root={root}")
    run(*systemctl, "enable", "wxops-lab.service", "docker.socket")
    # The engine starts at the first `docker` command, through its socket: hosts that never use it stay small.
    run(*systemctl, "disable", "docker.service", "containerd.service")
    run(*systemctl, "mask", *recipe.unwanted)


def resolv_conf() -> str:
    """This machine's name servers as its hosts can use them: a stub on 127.0.0.53 is of no use in another namespace."""
    behind_stub = Path("/run/systemd/resolve/resolv.conf")
    text = Path("/etc/resolv.conf").read_text()
    return behind_stub.read_text() if "nameserver 127." in text and behind_stub.exists() else text
