"""SSH as the lab uses it: the options that reach its hosts safely, and whether a server is there."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

from wxops.errors import LabError


def ssh_options(known_hosts: Path) -> tuple[str, ...]:
    """The options without which a lab host is not reached: its key is known, and only the lab's key is offered."""
    return (f"UserKnownHostsFile={known_hosts}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes")


def authorize(home: Path, public_key: Path, uid: int) -> None:
    """Let the holder of a key log in to the account with that home."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    accepted = folder / "authorized_keys"
    shutil.copyfile(public_key, accepted)
    accepted.chmod(0o600)
    for path in (folder, accepted):
        os.chown(path, uid, uid)


def greets(address: str, port: int = 22) -> bool:
    """Whether an SSH server greets at that port of the address."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_until_greets(name: str, address: str, console: Path, seconds: float = 60, port: int = 22) -> None:
    """Wait for the SSH server of a host; when it does not come, LabError names the host and shows its console's end."""
    deadline = time.monotonic() + seconds
    while not greets(address, port):
        if time.monotonic() > deadline:
            last = console.read_text(errors="replace").splitlines()[-3:]
            raise LabError(f"{name} did not answer SSH within {seconds:.0f} s: " + " / ".join(last), where=str(console))
        time.sleep(0.05)
