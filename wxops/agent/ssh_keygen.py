"""SSH key pairs made and looked at by ssh-keygen(1), in a private directory; passphrases go to its prompts."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.openssl import private_folder
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.process import Completed

FORMATS = {"auto": [], "ssh": [], "pkcs1": ["-m", "PEM"], "pkcs8": ["-m", "PKCS8"]}  # type: Dict[str, List[str]]
HEADS = {b"BEGIN OPENSSH PRIVATE KEY": "ssh", b"BEGIN PRIVATE KEY": "pkcs8", b"BEGIN ENCRYPTED PRIVATE KEY": "pkcs8"}
LISTED = re.compile(r"^(\d+) (\S+) .*\((\S+)\)$")


def make(type: str, bits: int, comment: Optional[str], passphrase: Optional[str], format: str) -> Tuple[bytes, bytes]:
    """The private file and the public one."""
    folder = private_folder()
    try:
        path = os.path.join(folder, "key")
        argv = ["-q", "-t", type, "-b", str(bits), *FORMATS[format], "-f", path]
        done = _call([*argv, *(["-C", comment] if comment is not None else [])], passphrase)
        if done.rc != 0:
            raise ModuleFailure(done.stderr.strip() or "ssh-keygen made no key", rc=done.rc)
        return _bytes(path), _bytes(path + ".pub")
    finally:
        shutil.rmtree(folder)


def describe(private: bytes, passphrase: Optional[str]) -> Dict[str, Any]:
    """{"type", "size", "fingerprint", "format", "public": "TYPE KEY"}. Raises ModuleFailure when it cannot be read."""
    folder = private_folder()
    try:
        path = os.path.join(folder, "key")
        _put(path, private)
        if passphrase and _call(["-y", "-f", path], None).rc == 0:
            raise ModuleFailure("it has no passphrase")
        shown = _call(["-y", "-f", path], passphrase)
        if shown.rc != 0:
            raise ModuleFailure(shown.stderr.strip().splitlines()[-1] if shown.stderr.strip() else "it is broken")
        public = " ".join(shown.stdout.split()[:2])
        _put(path + ".pub", public.encode() + b"\n")
        listed = LISTED.match(_call(["-l", "-f", path + ".pub"], None).stdout.strip())
    finally:
        shutil.rmtree(folder)
    if listed is None:
        raise ModuleFailure("ssh-keygen does not know what it is")
    format = next((name for head, name in HEADS.items() if head in private), "pkcs1")
    return {"size": int(listed.group(1)), "fingerprint": listed.group(2), "type": listed.group(3).lower(),
            "format": format, "public": public}  # fmt: skip


def _call(argv: List[str], passphrase: Optional[str]) -> Completed:
    typed = ("%s\n%s\n" % (passphrase or "", passphrase or "")).encode()
    return run(["ssh-keygen", *argv], stdin=typed, environment={"DISPLAY": "", "SSH_ASKPASS_REQUIRE": "never"})


def _put(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
