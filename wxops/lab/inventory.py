"""The lab's inventory: one file that wxops and ansible-playbook both take, and the known_hosts file that it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from wxops.lab.ssh import ssh_options

SSH_PORT = 22


def write_known_hosts(path: Path, keys: Iterable[tuple[str, str, Path]]) -> None:
    """One line a host, from its name, its address and its public key: we made the key, so nothing has to be scanned.

    An address with a port is written as `[address]:port`.
    """
    entries = [(f"{address},{name}", public_key.read_text().split()[:2]) for name, address, public_key in keys]
    _replace(path, "".join(f"{names} {kind} {key}\n" for names, (kind, key) in entries))


def write_inventory(path: Path, places: Mapping[str, tuple[str, int]], key: Path, known_hosts: Path) -> None:
    """All hosts in groups `all` and `gpu`, by name, address and port, each reached as root with the lab's key."""
    options = " ".join(f"-o {option}" for option in ssh_options(known_hosts))
    variables = {
        "ansible_user": "root",
        "ansible_port": SSH_PORT,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": options,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    hosts = {name: _place(address, port) for name, (address, port) in places.items()}
    text = yaml.safe_dump(
        {"all": {"vars": variables, "children": {"gpu": {"hosts": hosts}}}}, sort_keys=False, width=1000
    )
    _replace(path, f"# Written by `wxops lab up`, anew each time.\n{text}")


def _place(address: str, port: int) -> dict[str, Any]:
    return {"ansible_host": address} if port == SSH_PORT else {"ansible_host": address, "ansible_port": port}


def _replace(path: Path, text: str) -> None:
    """Whoever reads the file meanwhile sees the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.rename(path)
