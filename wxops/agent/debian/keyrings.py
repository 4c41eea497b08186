"""The keyrings that apt trusts: which keys are in them, and those keys put in or taken out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.debian.openpgp import NotAKey, armored, is_armored, keys_in
from wxops.agent.failure import ModuleFailure
from wxops.agent.tree import names_in

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from wxops.agent.change import Change
    from wxops.agent.debian.openpgp import PublicKey

MAIN, FOLDER = "/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d"
KEYBOX = b"KBXf"
"""Eight bytes into a keyring in gpg's newer format, which apt does not read."""


class Keyrings:
    """All that apt trusts, or one keyring alone."""

    def __init__(self, change: Change, only: Optional[str]) -> None:
        self._change = change
        folder = [os.path.join(FOLDER, name) for name in names_in(change, FOLDER) if name.endswith((".gpg", ".asc"))]
        self.main = only or MAIN
        self._keys: Dict[str, List[PublicKey]] = {}
        for path in [only] if only else [MAIN, *folder]:
            data = change.read(path)
            if data is not None:
                self._keys[path] = _read(path, data)

    def ids(self) -> List[str]:
        """Of all keys and subkeys that have not expired, 16 digits each."""
        return [found for keys in self._keys.values() for key in keys for found in key.ids()]

    def add(self, new: List[PublicKey]) -> None:
        """Put keys into the main keyring, in the place of older states of the same keys."""
        names = {key.fingerprint for key in new}
        kept = [key for key in self._keys.get(self.main, []) if key.fingerprint not in names]
        self._write(self.main, [*kept, *new])

    def remove(self, is_meant: Callable[[PublicKey], bool]) -> None:
        """A keyring in which no key is left goes, unless it is the main one."""
        for path, keys in list(self._keys.items()):
            kept = [key for key in keys if not is_meant(key)]
            if len(kept) < len(keys):
                self._write(path, kept)

    def _write(self, path: str, keys: List[PublicKey]) -> None:
        self._keys[path] = keys
        if not keys and path != self.main:
            self._change.set("file", self._change.place(path), {"type": "absent"})
            return
        before = self._change.read(path)
        data = b"".join(key.data for key in keys)
        shown = armored(data) if before is not None and is_armored(before) else data
        self._change.write(path, shown, "0644" if before is None else None)


def _read(path: str, data: bytes) -> List[PublicKey]:
    if data[8:12] == KEYBOX:
        raise ModuleFailure("%s is a keybox, which apt does not read: `gpg --export` its keys into a keyring" % path)
    try:
        return keys_in(data)
    except NotAKey as error:
        raise ModuleFailure("the keyring %s cannot be read: %s" % (path, error), path=path) from None
