"""Hashes of passwords for /etc/shadow and the like."""

from __future__ import annotations

import secrets
from typing import Any

from wxops.errors import nearest
from wxops.playbook.jinja.convert import text_of
from wxops.playbook.jinja.evaluation import volatile

_SCHEMES = {
    "md5": "md5_crypt",
    "sha256": "sha256_crypt",
    "sha512": "sha512_crypt",
    "blowfish": "bcrypt",
    "bcrypt": "bcrypt",
}
_SALT_LENGTHS = {"md5_crypt": 8, "sha256_crypt": 16, "sha512_crypt": 16, "bcrypt": 22}
_SALT_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BCRYPT_ROUNDS = 12


def password_hash(
    password: Any,
    hashtype: str = "sha512",
    salt: str | None = None,
    salt_size: int | None = None,
    rounds: int | None = None,
    ident: str | None = None,
) -> str:
    """The hash of a password. Without a salt another one each time, so a task with it always changes."""
    if not isinstance(password, (str, int, float)) or isinstance(password, bool):
        raise TypeError(f"a password is a text, not {type(password).__name__}")
    scheme = scheme_of(hashtype)
    if salt is None:
        volatile()
        salt = new_salt(scheme, salt_size)
    return hashed(text_of(password), scheme, salt, rounds, ident)


def scheme_of(hashtype: str) -> str:
    """The name in passlib of a kind of hash."""
    scheme = _SCHEMES.get(hashtype, hashtype)
    if scheme not in _SALT_LENGTHS:
        raise ValueError(f"there is no password hash {hashtype!r}: {nearest(hashtype, list(_SCHEMES))}")
    return scheme


def hashed(password: str, scheme: str, salt: str, rounds: int | None = None, ident: str | None = None) -> str:
    """The hash by a scheme under its name in passlib: md5_crypt, sha256_crypt, sha512_crypt or bcrypt."""
    from passlib import hash as schemes

    options: dict[str, Any] = {"salt": salt}
    if scheme == "bcrypt":
        options.update(ident=(ident or "2b").strip("$"), rounds=int(rounds or _BCRYPT_ROUNDS))
    elif rounds is not None and scheme != "md5_crypt":
        options["rounds"] = int(rounds)
    return str(getattr(schemes, scheme).using(**options).hash(password))


def new_salt(scheme: str, size: int | None = None) -> str:
    """A random salt, as long as the scheme takes it."""
    letters = [secrets.choice(_SALT_LETTERS) for _ in range(size or _SALT_LENGTHS[scheme])]
    # bcrypt uses 128 of the last letters' 132 bits: only these four have none beyond.
    return "".join([*letters[:-1], secrets.choice(".Oeu")] if scheme == "bcrypt" else letters)
