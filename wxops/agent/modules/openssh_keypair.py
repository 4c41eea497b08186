"""SSH key pairs, made on the host; the private key never leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.secret_file import put_secret, remove
from wxops.agent.ssh_keygen import describe, make

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"attr": "attributes"}
DEFAULT_SIZE = {"rsa": 4096, "dsa": 1024, "ecdsa": 256, "ed25519": 256}
UNREADABLE = "Unable to read the key. The key is protected with a passphrase or broken. Will not proceed."


def openssh_keypair(
    change: Change,
    path: Path,
    state: Literal["present", "absent"] = "present",
    type: Literal["rsa", "dsa", "ecdsa", "ed25519"] = "rsa",
    size: Optional[int] = None,
    comment: Optional[str] = None,
    passphrase: Optional[str] = None,
    private_key_format: Literal["auto", "pkcs1", "pkcs8", "ssh"] = "auto",
    regenerate: Literal[
        "never", "fail", "partial_idempotence", "full_idempotence", "always"
    ] = "partial_idempotence",
    force: bool = False,
    backend: Literal["auto", "opensshbin"] = "auto",
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
    """Make an SSH key pair, unless there is one of that kind. The private key is in no diff and in no result.

    path: the private key's file; the public one's ends with .pub.
    state: whether they are to be there.
    type: the algorithm.
    size: bits of an RSA (4096) or ECDSA (256, 384, 521) key.
    comment: of the public key.
    passphrase: encrypts the private key.
    private_key_format: of a new key; one that is there in another is made anew. auto takes any.
    regenerate: may a key that is there be replaced: never, fail (when it is of another kind), partial_idempotence
        (then, but not if it cannot be read), full_idempotence (also then) or always.
    force: the same as regenerate: always.
    backend: the host's ssh-keygen does it.
    mode: octal in quotes or symbolic; 0600 for a new private key and 0644 for a public one. Like what follows, of both.
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    bits = _bits(type, size)
    result: Dict[str, Any] = {"filename": path, "size": bits, "type": type}
    if state == "absent":
        remove(change, path, backup=False)
        remove(change, path + ".pub", backup=False, secret=False)
        return dict(result, fingerprint="", public_key="", comment="")
    if change.file(path, follow=True)["type"] == "directory":
        raise ModuleFailure("%s is a directory. Please specify a path to a file." % path)
    about = _private(change, path, (type, bits, comment, passphrase, private_key_format),
                     "always" if force else regenerate)  # fmt: skip
    public, said = _public(change, path + ".pub", about, comment)
    for name in (path, path + ".pub"):
        Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel).set(change, name)
    return dict(result, size=about["size"], type=about["type"], fingerprint=about["fingerprint"], public_key=public,
                comment=said)  # fmt: skip


def _bits(type: str, size: Optional[int]) -> int:
    bits = DEFAULT_SIZE[type] if size is None or type == "ed25519" else size
    if type == "rsa" and bits < 1024:
        raise ModuleFailure("For RSA keys, the minimum size is 1024 bits and the default is 4096 bits.")
    if type == "dsa" and bits != DEFAULT_SIZE["dsa"]:
        raise ModuleFailure("DSA keys must be exactly 1024 bits as specified by FIPS 186-2.")
    if type == "ecdsa" and bits not in (256, 384, 521):
        raise ModuleFailure("For ECDSA keys, size is one of 256, 384 or 521 bits.")
    return bits


def _private(change: Change, path: str, asked: Any, regenerate: str) -> Dict[str, Any]:
    """What there is to say of the key, after it was made if need be; with `made`, the public file of a new one."""
    type, bits, _, passphrase, format = asked
    now, about = change.read(path), None
    if now is not None and regenerate != "always":
        try:
            about = describe(now, passphrase)
        except ModuleFailure as failure:
            if regenerate != "full_idempotence":
                raise ModuleFailure("%s (%s)" % (UNREADABLE, failure)) from None
    if about is not None:
        right = (about["type"], about["size"]) == (type, bits) and format in ("auto", about["format"])
        if right or regenerate == "never":
            return about
        if regenerate == "fail":
            raise ModuleFailure("Key has wrong type and/or size. Will not proceed.")
    private, public = make(*asked)
    put_secret(change, path, private)
    return dict(describe(private, passphrase), made=public)


def _public(change: Change, path: str, about: Dict[str, Any], comment: Optional[str]) -> Any:
    """The public key and its comment, after its file was put right."""
    now = about.get("made", change.read(path) or b"").decode("utf-8", "replace").split(None, 2)
    said = comment if comment is not None else now[2].strip() if len(now) > 2 else ""
    public = " ".join([about["public"], *([said] if said else [])])
    there = " ".join(now).strip()
    if "made" in about or there != public:
        change.write(path, public.encode() + b"\n", mode=None if change.file(path)["type"] == "file" else "0644")
    return public, said
