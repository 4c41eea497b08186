"""Who a host is: an unknown key is refused or, with --accept-new, recorded; a changed one always stops the run."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import paramiko

from wxops.errors import HostUnreachable

SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_appending = threading.Lock()


def known_hosts_files(settings: Mapping[str, Any]) -> list[Path]:
    """The files that OpenSSH would read for these settings; the first one is where new keys go."""
    own = str(settings.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    return [Path(name).expanduser() for name in own]


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen prints it: SHA256:..."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """What to do with a host that no file knows."""

    def __init__(self, record_in: Path, accept_new: bool) -> None:
        self._record_in, self._accept_new = record_in, accept_new

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if not self._accept_new:
            raise HostUnreachable(
                f"the host key of {hostname} is not known ({key.get_name()} {fingerprint(key)})",
                fix=f"compare it with the host's own, then run again with --accept-new, or add it to {self._record_in}",
            )
        line = f"{hostname} {key.get_name()} {key.get_base64()}\n"
        with _appending:
            self._record_in.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self._record_in, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
                file.write(line)
        client.get_host_keys().add(hostname, key.get_name(), key)


def changed_key(hostname: str, error: paramiko.BadHostKeyException, files: list[Path]) -> HostUnreachable:
    return HostUnreachable(
        f"the host key of {hostname} has CHANGED: it shows {fingerprint(error.key)}, "
        f"known is {fingerprint(error.expected_key)}",
        fix="somebody may be in between. If the host was rebuilt, remove its old line: "
        f"ssh-keygen -R '{hostname}' -f {files[0]}",
    )
