"""Vault files on disk: written whole or not at all, and no plain text stays behind where it was encrypted."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator

from wxops.errors import InputError, VaultError
from wxops.playbook.vault import Opened, VaultKeys, is_encrypted

STDIO = "-"
_CHUNK = b"\0" * (1 << 20)


def check(paths: Iterable[str], encrypted: bool) -> None:
    """Refuse files that are not there, or are encrypted or not as they should not be: before a password is asked for.

    What can be read only once, a pipe or stdin, is judged when it is read.
    """
    for path in paths:
        if path != STDIO and (os.path.isfile(path) or not os.path.exists(path)):
            _expect(read(path), path, encrypted)


def encrypted(source: str, keys: VaultKeys, label: str) -> bytes:
    """What is in a file, closed under a label. `-` is stdin."""
    data = read(source)
    _expect(data, source, encrypted=False)
    return keys.encrypt(data, label).encode("ascii")


def rekeyed(path: str, keys: VaultKeys, new: VaultKeys, label: str) -> bytes:
    """What is in a vault file, closed again with another password."""
    return new.encrypt(open_file(path, keys).plain, label).encode("ascii")


def open_file(path: str, keys: VaultKeys) -> Opened:
    """What is in a vault file, and what closes it again. Raises VaultError for a file that is not encrypted."""
    data = read(path)
    _expect(data, path, encrypted=True)
    return keys.open(data, _named(path))


def _expect(data: bytes, path: str, encrypted: bool) -> None:
    if encrypted and not is_encrypted(data):
        raise VaultError("is not encrypted: it does not begin with $ANSIBLE_VAULT", where=_named(path))
    if not encrypted and is_encrypted(data):
        raise VaultError("is encrypted already", where=_named(path), fix="`wxops vault rekey` changes its password")


def read(path: str) -> bytes:
    """The bytes of a file, or of stdin."""
    if path == STDIO:
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None


def write(path: str, data: bytes, wipe: bool = False) -> None:
    """Put bytes in a file's place at once, with the mode and owner of the file that was there; a new one is 0600.

    wipe: overwrite what was there before; a file system that copies on write, or a disk's own wear levelling, may
    keep it nevertheless.
    """
    if path == STDIO:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        _write_file(os.path.realpath(path), data, wipe)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from None


def _write_file(path: str, data: bytes, wipe: bool) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:  # a pipe or device
            file.write(data)
        return
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(open(path, "r+b" if wipe else "rb")) if os.path.exists(path) else None
        temporary = stack.enter_context(_beside(path))
        with open(temporary, "wb") as file:
            if old is not None:
                _take_after(file.fileno(), os.fstat(old.fileno()))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if old is not None and wipe:
            _wipe(old.fileno())


@contextlib.contextmanager
def _beside(path: str) -> Iterator[str]:
    """An empty file of ours (0600) in the same directory, gone afterwards unless it was renamed."""
    number, temporary = tempfile.mkstemp(prefix=".wxops-vault-", dir=os.path.dirname(path))
    os.close(number)
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _take_after(number: int, old: os.stat_result) -> None:
    """Owner first: chown clears bits of the mode. Only root may give a file away; then the mode alone is kept."""
    with contextlib.suppress(PermissionError):
        os.fchown(number, old.st_uid, old.st_gid)
    os.fchmod(number, old.st_mode & 0o7777)


def _wipe(number: int) -> None:
    """Overwrite a file that has no name any more. One that has (a hard link) belongs to others too, and stays."""
    status = os.fstat(number)
    if status.st_nlink:
        return
    at = 0
    while at < status.st_size:
        at += os.pwrite(number, _CHUNK[: status.st_size - at], at)
    os.fsync(number)


def _named(path: str) -> str:
    return "stdin" if path == STDIO else path
