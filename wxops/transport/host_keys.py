"""Who a host is: an unknown key is refused or, with --accept-new, recorded; a changed one always stops the run."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from wxops.errors import HostUnreachable

SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_appending, _reading = threading.Lock(), threading.Lock()


def known_hosts_files(settings: Mapping[str, Any]) -> list[Path]:
    """The files that OpenSSH would read for these settings; the first one is where new keys go."""
    own = str(settings.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    return [Path(name).expanduser() for name in own]


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen prints it: SHA256:..."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def load(client: paramiko.SSHClient, files: list[Path], host: str, port: int) -> frozenset[str]:
    """Let the client know the keys of a host in these files; returns those (in base64) that a `@revoked` line names.

    paramiko refuses a whole file for one marker, `@cert-authority` too, or one damaged line. Here a revoked key counts
    for no host, and a host that only a certificate vouches for is unknown.
    """
    known = _keys(tuple(file.read_text(errors="replace") for file in files if file.is_file()))
    entries = known.of(host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}")
    client.get_host_keys()._entries += entries  # type: ignore[attr-defined]  # add() looks through all for each
    return known.revoked


class _Known:
    """The keys in known_hosts files. Those under a plain name are found by it, so that a thousand hosts cost one."""

    def __init__(self, entries: Iterable[HostKeyEntry], revoked: frozenset[str]) -> None:
        self.revoked = revoked
        self._hashed: list[tuple[int, HostKeyEntry]] = []
        self._named: dict[str, list[tuple[int, HostKeyEntry]]] = {}
        for place, entry in enumerate(entries):
            if any(name.startswith("|1|") for name in entry.hostnames):
                self._hashed.append((place, entry))
            for name in entry.hostnames:
                self._named.setdefault(name, []).append((place, entry))

    def of(self, name: str) -> list[HostKeyEntry]:
        """Those that may be of a host, in the files' order."""
        return [entry for _, entry in sorted({*self._hashed, *self._named.get(name, [])}, key=itemgetter(0))]


def _keys(texts: tuple[str, ...]) -> _Known:
    """The keys in these files' texts; read once for all hosts that connect together."""
    with _reading:  # those that come at the same time wait for the first one's
        return _read_keys(texts)


@functools.lru_cache(maxsize=8)
def _read_keys(texts: tuple[str, ...]) -> _Known:
    lines = [line for text in texts for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    revoked = frozenset(words[3] for words in map(str.split, lines) if words[0] == "@revoked" and len(words) > 3)
    entries = [entry for line in lines if not line.startswith("@") and (entry := _entry(line)) is not None]
    return _Known([entry for entry in entries if entry.key.get_base64() not in revoked], revoked)


@functools.cache  # --accept-new makes the files longer with every host
def _entry(line: str) -> Any:
    """A line's names and key; None where paramiko cannot take it."""
    try:
        return HostKeyEntry.from_line(line)
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        return None


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """What to do with a host that no file knows."""

    def __init__(self, record_in: Path, accept_new: bool, revoked: frozenset[str] = frozenset()) -> None:
        self._record_in, self._accept_new, self._revoked = record_in, accept_new, revoked

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if key.get_base64() in self._revoked:
            raise HostUnreachable(
                f"the host key of {hostname} is REVOKED in known_hosts ({key.get_name()} {fingerprint(key)})",
                fix="somebody else may have it: let the host make new keys, and record those",
            )
        if not self._accept_new:
            raise HostUnreachable(
                f"the host key of {hostname} is not known ({key.get_name()} {fingerprint(key)})",
                fix=f"compare it with the host's own, then run again with --accept-new, or add it to {self._record_in}",
            )
        line = f"{hostname} {key.get_name()} {key.get_base64()}\n"
        with _appending:
            self._record_in.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self._record_in, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+", 0) as file:
                size = os.fstat(file.fileno()).st_size
                ended = size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"
                file.write((line if ended else "\n" + line).encode())
        client.get_host_keys().add(hostname, key.get_name(), key)


def changed_key(hostname: str, error: paramiko.BadHostKeyException, files: list[Path]) -> HostUnreachable:
    return HostUnreachable(
        f"the host key of {hostname} has CHANGED: it shows {fingerprint(error.key)}, "
        f"known is {fingerprint(error.expected_key)}",
        fix="somebody may be in between. If the host was rebuilt, remove its old line: "
        f"ssh-keygen -R '{hostname}' -f {files[0]}",
    )
