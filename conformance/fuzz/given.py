"""What is on a host before a random playbook runs: files of every kind below ROOT, for modules to find and change."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from conformance.fuzz.hosts import FreshHost

ROOT = "/srv/box"
BLOCK = "one\n# BEGIN ANSIBLE MANAGED BLOCK\nkept\n# END ANSIBLE MANAGED BLOCK\ntwo\n"
KEY, OTHER_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP1SeDVrUx4GYpP0OueMqNZpMq/ZB+RvvE4AN7VslKQU",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMPVlpXxuPUZKiCNBmpZrLHMs/FiXAwfbWADC3rnI9Bo",
)
MTIME = 1_700_000_000
# Name: text, None (a directory), {"link": target}, {"hard": other name}; then the mode.
TREE: dict[str, tuple[Any, int]] = {
    "a": (None, 0o755), "a/x": ("one\ntwo\n", 0o644), "a/y": ("", 0o640), "a/z": ("key = 1\n#key = 2\nend\n", 0o600),
    "b": (None, 0o700), "b/x": ("two", 0o644), "b/sub": (None, 0o755), "b/sub/deep": ("deep\n", 0o444),
    "empty": (None, 0o755), "link": ({"link": "a"}, 0), "flink": ({"link": "a/x"}, 0),
    "dangling": ({"link": "nowhere"}, 0), "hard": ({"hard": "a/z"}, 0), "uni": ("ä\nß ß\n", 0o644),
    "dos": ("one\r\ntwo\r\n", 0o644), "block": (BLOCK, 0o644), "hosts": (f"there {KEY}\n", 0o644),
    "parts": (None, 0o755), "parts/1": ("first\n", 0o644), "parts/2": ("second", 0o644), "parts/3.off": ("x\n", 0o644),
    "conf": ("[main]\nkey=1\nkey=2\n\n[other]\n", 0o664), "run.sh": ("#!/bin/sh\necho ran $1\n", 0o755),
}  # fmt: skip
OWNED = ("b/x", "empty")  # by ops, the lab's ordinary user


def give(host: FreshHost) -> None:
    """Make TREE, all of it of one time, and an archive of part of it."""
    root = host.root / ROOT[1:]
    root.mkdir()
    for name, (content, mode) in TREE.items():
        path = root / name
        if content is None:
            path.mkdir()
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        elif "link" in content:
            path.symlink_to(content["link"])
            continue
        else:
            os.link(root / content["hard"], path)
            continue
        path.chmod(mode)
    _age(root)
    subprocess.run(["tar", "-C", str(root), "-czf", str(root / "packed.tgz"), "--sort=name", "a", "link"], check=True)
    for name in OWNED:
        os.chown(root / name, 1000, 1000)
    _age(root)


def _age(root: Path) -> None:
    for path in (*root.rglob("*"), root):
        os.utime(path, (MTIME, MTIME), follow_symlinks=False)
