"""Lines of ssh's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): which hosts they speak of, and their keys."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional

HASHED = "|1|"


class KnownHost:
    """One line: an optional marker (@cert-authority, @revoked), hosts, the key's type and the key."""

    def __init__(self, words: list[str]) -> None:
        self.marker = words.pop(0) if words[0].startswith("@") else ""
        self.hosts, self.type, self.key = words[0], words[1], words[2]

    def names(self, host: str) -> bool:
        """Does it speak of this host? As ssh finds it: hashed, in a list, by a pattern, case aside."""
        if self.hosts.startswith(HASHED):
            return self._hash_is_of(host)
        found = False
        for pattern in self.hosts.lower().split(","):
            if fnmatch.fnmatchcase(host.lower(), re.sub(r"([\[])", r"[\1]", pattern.lstrip("!"))):
                if pattern.startswith("!"):
                    return False
                found = True
        return found

    def same(self, other: KnownHost) -> bool:
        """Is it the same entry? Two hashes of one host are."""
        both_hashed = self.hosts.startswith(HASHED) and other.hosts.startswith(HASHED)
        mine, theirs = (self.marker, self.type, self.key), (other.marker, other.type, other.key)
        return mine == theirs and (both_hashed or self.hosts == other.hosts)

    def _hash_is_of(self, host: str) -> bool:
        salt, _, digest = self.hosts[len(HASHED) :].partition("|")
        try:
            wanted = base64.b64decode(digest)
            return hmac.new(base64.b64decode(salt), host.encode("utf-8"), hashlib.sha1).digest() == wanted
        except binascii.Error:
            return False


def parsed(line: str) -> Optional[KnownHost]:
    """A line of the file; None for a comment, and for what is no entry."""
    words = line.split()
    least = 4 if words and words[0].startswith("@") else 3
    return KnownHost(words) if len(words) >= least and not words[0].startswith("#") else None


def with_hashed_host(line: str, host: str) -> str:
    salt = os.urandom(20)
    digest = hmac.new(salt, host.encode("utf-8"), hashlib.sha1).digest()
    words = line.split()
    words[1 if words[0].startswith("@") else 0] = HASHED + "|".join(
        base64.b64encode(part).decode() for part in (salt, digest)
    )
    return " ".join(words)
