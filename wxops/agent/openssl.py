"""Running openssl(1) on keys: they lie in a private directory in memory while it works, never on a command line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence

MEMORY = "/dev/shm"
PASSPHRASE = "WXOPS_PASSPHRASE"
"""The environment variable that a passphrase is in: only root and the user itself can read it."""
FINGERPRINTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_224", "sha3_256",
                "sha3_384", "sha3_512")  # fmt: skip


class OpenSSL:
    """A private directory for one task; `file` puts bytes there, `call` works with them."""

    def __init__(self, folder: str) -> None:
        self._folder, self._count = folder, 0

    def file(self, data: bytes) -> str:
        self._count += 1
        path = os.path.join(self._folder, str(self._count))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        return path

    def call(self, *words: str, passphrase: Optional[str] = None) -> bytes:
        """What openssl prints. Raises ModuleFailure with what it says."""
        out = os.path.join(self._folder, "out")
        done = run(["openssl", *words, "-out", out], environment={PASSPHRASE: passphrase or ""}, cwd=self._folder)
        if done.rc != 0:
            raise ModuleFailure("openssl %s: %s" % (words[0], _reason(done.stderr or done.stdout)), rc=done.rc)
        with open(out, "rb") as file:
            data = file.read()
        os.unlink(out)
        return data

    def succeeds(self, *words: str) -> bool:
        """For what answers by its exit code."""
        return run(["openssl", *words], cwd=self._folder).rc == 0


def private_folder() -> str:
    """0700, and not on a disk where the host has such a place."""
    return tempfile.mkdtemp(prefix="wxops-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)


@contextlib.contextmanager
def openssl() -> Iterator[OpenSSL]:
    folder = private_folder()
    try:
        yield OpenSSL(folder)
    finally:
        shutil.rmtree(folder)


def pass_in(passphrase: Optional[str]) -> List[str]:
    """Also without one: it must never ask on a terminal."""
    return ["-passin", "env:" + PASSPHRASE]


def fingerprints(data: bytes) -> Dict[str, str]:
    """Of a public key (DER) by each algorithm, as openssl writes them: ab:cd:..."""
    found = {name: hashlib.new(name, data).hexdigest() for name in FINGERPRINTS}
    return {name: ":".join(re.findall("..", digest)) for name, digest in found.items()}


def without(text: str, patterns: Sequence[str]) -> str:
    """A text as `-text` prints it, without the parts that each making draws anew."""
    for pattern in patterns:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    return text


def _reason(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith((".", "+"))]
    return "; ".join(lines[:3]) or "it failed and does not say why"
