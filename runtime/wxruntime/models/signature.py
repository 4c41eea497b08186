"""A signature over a manifest: Ed25519 over the bytes of wxops-manifest.json, 64 bytes in wxops-manifest.sig.

No format of our own, so that anybody can check it:

    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in wxops-manifest.json -sigfile wxops-manifest.sig

Keys are PEM (`openssl genpkey -algorithm ed25519`) or OpenSSH's (`ssh-keygen -t ed25519`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wxruntime.models.errors import ModelError
from wxruntime.models.manifest import MANIFEST, SIGNATURE, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE_ONE = "make one: openssl genpkey -algorithm ed25519 -out KEY; openssl pkey -in KEY -pubout -out KEY.pub"


def sign(directory: Path, key: Path) -> None:
    """Sign the manifest that lies in `directory`. Raise ModelError for a key that cannot."""
    private = _private(key)
    write_whole(directory / SIGNATURE, private.sign((directory / MANIFEST).read_bytes()))


def require_signature(directory: Path, trusted: Sequence[Path]) -> Path:
    """The trusted key that signed the manifest. Raise ModelError when none did."""
    from cryptography.exceptions import InvalidSignature

    keys = [(path, _public(path)) for path in trusted]
    try:
        signature = (directory / SIGNATURE).read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"the manifest is not signed: there is no {SIGNATURE}, and a trusted signature is demanded",
            where=directory,
            fix="sign it where you trust the files: `wxops model add --in-place DIRECTORY --sign KEY`",
        ) from None
    manifest = (directory / MANIFEST).read_bytes()
    for path, key in keys:
        try:
            key.verify(signature, manifest)
            return path
        except InvalidSignature:
            continue
    names = ", ".join(str(path) for path in trusted)
    raise ModelError(
        f"the signature is of none of the trusted keys ({names}), or the manifest was changed after it was signed",
        where=directory / SIGNATURE,
        fix="take the model and its signature from where they were signed, or trust the key that signed it",
    )


def _private(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    text = _read(path)
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in text else load_pem_private_key
    try:
        key = load(text, password=None)
    except TypeError:
        raise ModelError("the key has a passphrase", where=path, fix="sign with a key without one") from None
    except ValueError:
        raise ModelError("this is not a private key", where=path, fix=MAKE_ONE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ModelError("this is not an Ed25519 key", where=path, fix=MAKE_ONE)
    return key


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

    text = _read(path)
    if b"PRIVATE KEY" in text:
        raise ModelError("this is a private key", where=path, fix="give the public one: a server needs no other")
    load = load_ssh_public_key if text.startswith(b"ssh-") else load_pem_public_key
    try:
        key = load(text)
    except ValueError:
        raise ModelError("this is not a public key", where=path, fix=MAKE_ONE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ModelError("this is not an Ed25519 key", where=path, fix=MAKE_ONE)
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"the key cannot be read: {error.strerror}", where=path, fix=MAKE_ONE) from None
