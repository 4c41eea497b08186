"""Private keys of TLS: made, looked at and converted by openssl(1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.openssl import fingerprints, openssl, pass_in

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

CURVES = {"secp192r1": "prime192v1", "secp256r1": "prime256v1"}
"""Curves whose names openssl writes otherwise."""
WITHOUT_SIZE = ("Ed25519", "Ed448", "X25519", "X448")
PKCS1 = re.compile(rb"-----BEGIN (RSA|DSA|EC) PRIVATE KEY-----")
CIPHER = "-aes-256-cbc"


class Wanted:
    """What a task says of a key."""

    def __init__(self, type: str, size: int, curve: Optional[str], passphrase: Optional[str], format: str) -> None:
        """format: pkcs1, pkcs8, or auto (pkcs1 where the type has one)."""
        if type == "ECC" and not curve:
            raise ModuleFailure("type is ECC but all of the following are missing: curve")
        self.type, self.size, self.curve, self.passphrase = type, size, curve, passphrase
        self.pkcs1 = format in ("auto", "auto_ignore", "pkcs1") and type not in WITHOUT_SIZE
        if format == "pkcs1" and type in WITHOUT_SIZE:
            raise ModuleFailure("%s keys have no format pkcs1" % type)

    def differs(self, about: Dict[str, Any]) -> bool:
        if about["type"] != self.type:
            return True
        if self.type == "ECC":
            return bool(about["curve"] != self.curve)
        return self.type not in WITHOUT_SIZE and about["size"] != self.size

    def make(self) -> bytes:
        """A new key, in its format, encrypted with the passphrase when there is one."""
        with openssl() as tool:
            if self.type == "DSA":
                parameters = tool.file(tool.call("genpkey", "-genparam", "-algorithm", "DSA",
                                                 "-pkeyopt", "dsa_paramgen_bits:%d" % self.size))  # fmt: skip
                data = tool.call("genpkey", "-paramfile", parameters)
            else:
                data = tool.call("genpkey", "-algorithm", "EC" if self.type == "ECC" else self.type, *self._options())
        return self.written(data, None)

    def _options(self) -> List[str]:
        if self.type == "RSA":
            return ["-pkeyopt", "rsa_keygen_bits:%d" % self.size]
        if self.type == "ECC":
            curve = CURVES.get(str(self.curve), str(self.curve))
            return ["-pkeyopt", "ec_paramgen_curve:" + curve, "-pkeyopt", "ec_param_enc:named_curve"]
        return []

    def written(self, data: bytes, passphrase: Optional[str]) -> bytes:
        """The same key in the wanted format; `passphrase` is the one that it has now."""
        with openssl() as tool:
            clear = tool.call("pkey", "-in", tool.file(data), *pass_in(passphrase), passphrase=passphrase)
            words = ["pkey", "-in", tool.file(clear), *(["-traditional"] if self.pkcs1 else [])]
            if self.passphrase:
                words += [CIPHER, "-passout", "env:WXOPS_PASSPHRASE"]
            return tool.call(*words, passphrase=self.passphrase)


def describe(data: bytes, passphrase: Optional[str]) -> Dict[str, Any]:
    """Its type, size or curve, format and fingerprint. Raises ModuleFailure where the passphrase is wrong."""
    encrypted = b"ENCRYPTED" in data
    if encrypted != bool(passphrase):
        raise ModuleFailure(
            "the private key is %s" % ("encrypted, and no passphrase is given" if encrypted else "not encrypted")
        )
    with openssl() as tool:
        file = tool.file(data)
        text = tool.call("pkey", "-in", file, *pass_in(passphrase), "-noout", "-text_pub", passphrase=passphrase)
        public = tool.call("pkey", "-in", file, *pass_in(passphrase), "-pubout", "-outform", "DER",
                           passphrase=passphrase)  # fmt: skip
    return dict(_parsed(text.decode()), fingerprint=fingerprints(public), pkcs1=bool(PKCS1.search(data)))


def _parsed(text: str) -> Dict[str, Any]:
    """What `openssl pkey -text_pub` shows, of 1.1.1 or 3."""
    named = re.search(r"^\s*(ED25519|ED448|X25519|X448) Public-Key", text)
    if named:
        return {"type": next(name for name in WITHOUT_SIZE if name.upper() == named.group(1))}
    bits = re.search(r"Public-Key: \((\d+) bit", text)
    size = int(bits.group(1)) if bits else 0
    curve = re.search(r"^ASN1 OID: (\S+)", text, re.MULTILINE)
    if curve:
        name = next((ours for ours, theirs in CURVES.items() if theirs == curve.group(1)), curve.group(1))
        return {"type": "ECC", "curve": name, "size": size}
    return {"type": "RSA" if re.search(r"^\s*Modulus", text, re.MULTILINE) else "DSA", "size": size}
