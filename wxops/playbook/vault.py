"""Ansible's vault, formats 1.1 and 1.2: text encrypted in a repository, opened with a password.

The format: a header line `$ANSIBLE_VAULT;1.1;AES256` (1.2 adds `;LABEL`), then the body as hex, 80 characters a
line. The body is salt, HMAC and ciphertext, each as hex again, a line each. PBKDF2-HMAC-SHA256 with 10,000 rounds makes
80 bytes of the password: the AES-256 key, the HMAC-SHA256 key and the counter block; the text is padded by PKCS#7,
encrypted by AES-CTR, then authenticated. https://docs.ansible.com/ansible/latest/vault_guide/vault_encrypting_content.html
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac

from wxops.errors import Origin, VaultError

DEFAULT_ID = "default"
_HEADER = "$ANSIBLE_VAULT"
_CIPHER = "AES256"
_ROUNDS = 10_000
_LINE = 80


@dataclass(frozen=True, slots=True)
class Password:
    """A vault password that does not show itself."""

    secret: bytes

    def __repr__(self) -> str:
        return "Password(***)"


@dataclass(frozen=True, slots=True)
class _Derived:
    """The three values that a password and a salt give."""

    cipher_key: bytes
    hmac_key: bytes
    counter: bytes


@dataclass(frozen=True)
class VaultKeys:
    """The vault passwords of a run, each under its label, in the order given: the first one of a label encrypts."""

    passwords: tuple[tuple[str, Password], ...] = ()
    # One derivation costs milliseconds, and one variable is read for every host.
    _derived: dict[tuple[bytes, bytes], _Derived] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.passwords)

    def and_password(self, label: str, secret: bytes) -> VaultKeys:
        """These keys and one more."""
        return VaultKeys((*self.passwords, (label, Password(secret))))

    def decrypt(self, text: str | bytes, where: Origin | str | None = None) -> bytes:
        """The bytes in a vault text. Its label says which password to try first; as in Ansible all are tried."""
        return self.open(text, where).plain

    def open(self, text: str | bytes, where: Origin | str | None = None) -> Opened:
        """The same, with what closes it again as it was: its label, and the password that opened it."""
        envelope = _Envelope.parse(text, where)
        for password in self._candidates(envelope.label):
            derived = self._derive(password, envelope.salt)
            digest = hmac.digest(derived.hmac_key, envelope.ciphertext, "sha256")
            if hmac.compare_digest(digest, envelope.digest):
                plain = _unpad(_aes_ctr(derived, envelope.ciphertext), where)
                return Opened(plain, VaultKeys(((envelope.label or DEFAULT_ID, password),)))
        raise _no_password(self, envelope.label, where)

    def decrypt_text(self, text: str | bytes, where: Origin | str | None = None) -> str:
        """The same as text."""
        try:
            return self.decrypt(text, where).decode("utf-8")
        except UnicodeDecodeError:
            raise VaultError("what is encrypted here is not UTF-8 text", where=where) from None

    def encrypt(self, plain: str | bytes, label: str | None = None, salt: bytes | None = None) -> str:
        """A vault text: format 1.2 under `label`, else 1.1. `salt` is random unless a reproducible text is wanted."""
        labels = [known for known, _ in self.passwords]
        if label is not None and label not in labels:
            raise VaultError(f"no vault password has the label {label!r}", fix=f"pass --vault-id {label}@FILE")
        if not labels:
            raise VaultError("encrypting needs a vault password", fix="pass --vault-password-file or --vault-id")
        password = self.passwords[labels.index(label) if label is not None else 0][1]
        data = plain.encode("utf-8") if isinstance(plain, str) else plain
        if is_encrypted(data):
            raise VaultError("this is a vault text already")
        salt = os.urandom(32) if salt is None else salt
        derived = self._derive(password, salt)
        ciphertext = _aes_ctr(derived, _pad(data))
        digest = hmac.digest(derived.hmac_key, ciphertext, "sha256")
        return _Envelope(label, salt, digest, ciphertext).text()

    def _candidates(self, label: str | None) -> Iterator[Password]:
        yield from (password for known, password in self.passwords if known == label)
        yield from (password for known, password in self.passwords if known != label)

    def _derive(self, password: Password, salt: bytes) -> _Derived:
        known = self._derived.get((password.secret, salt))
        if known is None:
            block = pbkdf2_hmac("sha256", password.secret, salt, _ROUNDS, 80)
            known = self._derived[password.secret, salt] = _Derived(block[:32], block[32:64], block[64:])
        return known


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in a vault text. keys: the one password that opened it, under the text's own label."""

    plain: bytes = field(repr=False)
    keys: VaultKeys

    @property
    def label(self) -> str:
        return self.keys.passwords[0][0]


def is_encrypted(text: str | bytes) -> bool:
    """Whether a whole text or file is a vault text."""
    return text.startswith(_HEADER) if isinstance(text, str) else text.startswith(_HEADER.encode())


@dataclass(frozen=True, slots=True)
class _Envelope:
    """A vault text, taken apart."""

    label: str | None
    salt: bytes
    digest: bytes
    ciphertext: bytes

    @classmethod
    def parse(cls, text: str | bytes, where: Origin | str | None) -> _Envelope:
        try:
            header, _, body = (text.decode("ascii") if isinstance(text, bytes) else text).strip().partition("\n")
            label = _label(header, where)
            parts = bytes.fromhex(body).decode("ascii").split("\n")
            salt, digest, ciphertext = (bytes.fromhex(part) for part in parts)
        except ValueError:
            raise _damaged("the hex digits after its header are not complete", where) from None
        return cls(label, salt, digest, ciphertext)

    def text(self) -> str:
        labelled = self.label not in (None, DEFAULT_ID)
        header = f"{_HEADER};1.2;{_CIPHER};{self.label}" if labelled else f"{_HEADER};1.1;{_CIPHER}"
        body = "\n".join(part.hex() for part in (self.salt, self.digest, self.ciphertext)).encode().hex()
        lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
        return "\n".join([header, *lines, ""])


def _label(header: str, where: Origin | str | None) -> str | None:
    """The label in a header line; None for format 1.1."""
    name, *fields = [part.strip() for part in header.split(";")]
    if name != _HEADER or len(fields) < 2:
        raise _damaged(f"its first line must be {_HEADER};1.1;{_CIPHER} or {_HEADER};1.2;{_CIPHER};LABEL", where)
    version, cipher = fields[:2]
    if version not in ("1.1", "1.2") or cipher != _CIPHER:
        raise VaultError(
            f"vault format {version} with cipher {cipher} is not supported (1.1 and 1.2 with {_CIPHER} are)",
            where=where,
            fix="write it again with `ansible-vault rekey`",
        )
    return fields[2] if len(fields) > 2 else None


def _aes_ctr(derived: _Derived, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    stream = Cipher(algorithms.AES(derived.cipher_key), modes.CTR(derived.counter)).encryptor()
    return stream.update(data) + stream.finalize()


def _pad(data: bytes) -> bytes:
    """PKCS#7 over blocks of 16 bytes (RFC 5652, section 6.3)."""
    count = 16 - len(data) % 16
    return data + bytes([count]) * count


def _unpad(data: bytes, where: Origin | str | None) -> bytes:
    count = data[-1] if data else 0
    if not 1 <= count <= 16 or data[-count:] != bytes([count]) * count:
        raise _damaged("its padding is wrong", where)
    return data[:-count]


def _damaged(problem: str, where: Origin | str | None) -> VaultError:
    return VaultError(f"not a whole vault text: {problem}", where=where, fix="restore it from version control")


def _no_password(keys: VaultKeys, label: str | None, where: Origin | str | None) -> VaultError:
    """What to pass, for a text that no password opens. An edited text looks the same: its HMAC fails too."""
    named = f" (label {label!r})" if label else ""
    option = f"--vault-id {label}@FILE or {label}@prompt" if label else "--vault-password-file FILE or --ask-vault-pass"
    if not keys:
        return VaultError(f"is encrypted{named} and there is no vault password", where=where, fix=f"pass {option}")
    labels = ", ".join(known for known, _ in keys.passwords)
    return VaultError(
        f"no vault password opens this{named}; tried: {labels}",
        where=where,
        fix=f"pass the right one with {option}; if it is right, the text was changed after it was encrypted",
    )
