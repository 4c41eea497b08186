"""Private keys of TLS, made on the host by its openssl; they never leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.private_key import Wanted, describe
from wxops.agent.secret_file import back_up_secret, put_secret, remove

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"attr": "attributes"}
UNREADABLE = "Unable to read the key. The key is protected with a another passphrase / no passphrase or broken"


def openssl_privatekey(
    change: Change,
    path: Path,
    state: Literal["absent", "present"] = "present",
    type: Literal["DSA", "ECC", "Ed25519", "Ed448", "RSA", "X25519", "X448"] = "RSA",
    size: int = 4096,
    curve: Optional[
        Literal[
            "secp224r1", "secp256k1", "secp256r1", "secp384r1", "secp521r1", "secp192r1", "brainpoolP256r1",
            "brainpoolP384r1", "brainpoolP512r1", "sect163k1", "sect163r2", "sect233k1", "sect233r1", "sect283k1",
            "sect283r1", "sect409k1", "sect409r1", "sect571k1", "sect571r1"
        ]
    ] = None,
    passphrase: Optional[str] = None,
    cipher: Literal["auto"] = "auto",
    format: Literal["pkcs1", "pkcs8", "auto", "auto_ignore"] = "auto_ignore",
    format_mismatch: Literal["regenerate", "convert"] = "regenerate",
    regenerate: Literal[
        "never", "fail", "partial_idempotence", "full_idempotence", "always"
    ] = "full_idempotence",
    force: bool = False,
    backup: bool = False,
    return_content: Literal[False] = False,
    select_crypto_backend: Literal["auto"] = "auto",
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
) -> Dict[str, Any]:  # fmt: skip
    """Make a private key, unless there is one of that kind. It is in no diff and in no result.

    path: the file.
    state: whether it is to be there.
    type: the algorithm.
    size: bits of an RSA or DSA key.
    curve: of an ECC key.
    passphrase: encrypts the key.
    cipher: of the encryption; auto is AES-256.
    format: of a new key; auto_ignore is pkcs1 where the type has it, and takes one that is there as it is.
    format_mismatch: make a new key when only the format differs, or convert the one that is there.
    regenerate: may one that is there be replaced: never, fail (when it is of another kind), partial_idempotence (then,
        but not if it cannot be read), full_idempotence (also then) or always.
    force: the same as regenerate: always.
    backup: keep a copy of the one that is replaced, beside it.
    return_content: never: results are shown and recorded; slurp the key with `no_log` where it must leave the host.
    select_crypto_backend: the host's openssl does it.
    mode: octal in quotes or symbolic; 0600 for a new key.
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if return_content:
        raise ModuleFailure("return_content would show the private key: slurp %s with `no_log: true` instead" % path)
    result: Dict[str, Any] = {"filename": path}
    if state == "absent":
        return dict(result, **remove(change, path, backup))
    wanted = Wanted(type, size, curve, passphrase, format)
    now = change.read(path)
    data = _new(wanted, now, "always" if force else regenerate, None if format == "auto_ignore" else format_mismatch)
    if data is not None:
        copy = back_up_secret(change, path) if backup and now is not None else None
        result.update({"backup_file": copy} if copy is not None else {})
        put_secret(change, path, data)
    attrs = Attributes(mode or "0600", owner, group, attributes, seuser, serole, setype, selevel)
    attrs.set(change, path)
    about = describe(data or now or b"", passphrase)
    shown = {"size": size} if wanted.type in ("RSA", "DSA") else {"size": about.get("size", size)}
    return dict(result, type=about["type"], fingerprint=about["fingerprint"], **shown,
                **({"curve": about["curve"]} if "curve" in about else {}))  # fmt: skip


def _new(wanted: Wanted, now: Optional[bytes], regenerate: str, mismatch: Optional[str]) -> Optional[bytes]:
    """The key to put in place; None when the one that is there stays."""
    if now is None or regenerate == "always":
        return wanted.make()
    try:
        about = describe(now, wanted.passphrase)
    except ModuleFailure as failure:
        if regenerate != "full_idempotence":
            raise ModuleFailure("%s (%s). Will not proceed." % (UNREADABLE, failure)) from None
        return wanted.make()
    if regenerate == "never":
        return None
    other_kind, other_format = wanted.differs(about), mismatch is not None and about["pkcs1"] != wanted.pkcs1
    if other_format and mismatch == "convert" and not other_kind:
        return wanted.written(now, wanted.passphrase)
    if (other_kind or other_format) and regenerate == "fail":
        raise ModuleFailure("Key has wrong type and/or size. Will not proceed.")
    return wanted.make() if other_kind or other_format else None
