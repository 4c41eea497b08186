"""Filters that make digests, password hashes, UUIDs and vault texts."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from wxops.playbook.jinja.convert import text_of
from wxops.playbook.jinja.evaluation import current
from wxops.playbook.jinja.passwords import password_hash
from wxops.playbook.vault import VaultKeys

_NAMESPACE = "361E6D51-FAEC-444A-9079-341386DA8E2E"


def digest(value: Any, hashtype: str = "sha1") -> str:
    """The digest of a text, as hex."""
    if hashtype not in hashlib.algorithms_available:
        raise ValueError(f"there is no hash {hashtype!r}; some are md5, sha1, sha256, sha512")
    return hashlib.new(hashtype, text_of(value).encode("utf-8", "surrogateescape")).hexdigest()


def to_uuid(value: Any, namespace: Any = _NAMESPACE) -> str:
    """A UUID of version 5: the same for the same text."""
    return str(uuid.uuid5(uuid.UUID(str(namespace)), text_of(value)))


def vault(
    value: str, secret: str, salt: str | None = None, vault_id: str = "filter_default", wrap_object: bool = False
) -> str:
    """The text, encrypted."""
    keys = VaultKeys().and_password(vault_id, text_of(secret).encode())
    return keys.encrypt(text_of(value), vault_id, text_of(salt).encode() if salt else None)


def unvault(value: str, secret: str, vault_id: str = "filter_default") -> str:
    """What a vault text holds; a text that is none is returned as it is."""
    if not value.startswith("$ANSIBLE_VAULT;"):
        return value
    plain = VaultKeys().and_password(vault_id, text_of(secret).encode()).decrypt_text(value)
    evaluation = current.get()
    if evaluation is not None:
        evaluation.templar.secrets.add(plain)
    return plain


FILTERS: dict[str, Callable[..., Any]] = {
    "checksum": lambda value: digest(value),
    "hash": digest,
    "md5": lambda value: digest(value, "md5"),
    "password_hash": password_hash,
    "sha1": lambda value: digest(value),
    "to_uuid": to_uuid,
    "unvault": unvault,
    "vault": vault,
}
