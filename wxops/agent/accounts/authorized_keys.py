"""The lines of an authorized_keys file: options, type, key and comment, as sshd(8) reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    Options = Dict[str, List[Optional[str]]]

_BASES = ("ssh-ed25519", "sk-ssh-ed25519", "ssh-rsa", "ssh-dss", "rsa-sha2-256", "rsa-sha2-512", "ssh-xmss",
          "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ecdsa-sha2-nistp256",
          "webauthn-sk-ecdsa-sha2-nistp256")  # fmt: skip
TYPES = frozenset(base + more for base in _BASES for more in ("", "@openssh.com", "-cert-v01@openssh.com"))
"""https://github.com/openssh/openssh-portable/blob/master/sshkey.c and PROTOCOL.certkeys."""
OPTION = re.compile(r"""(?:[^,"']|"[^"]*"|'[^']*')+""")


class Key:
    """One key of a file; `line` is how it stands there, without its newline."""

    def __init__(self, line: str, options: Optional[str], type: str, blob: str, comment: str) -> None:
        self.line, self.options, self.type, self.blob, self.comment = line, options, type, blob, comment

    @classmethod
    def of(cls, line: str) -> Optional[Key]:
        """The key of a line; None for a comment, an empty line and what is no key."""
        words = line.replace("\\#", "#").split()
        at = next((index for index, word in enumerate(words) if word in TYPES), None)
        if at is None or words[0].startswith("#") or at + 1 >= len(words):
            return None
        options = " ".join(words[:at]) or None
        return cls(line.rstrip("\r\n"), options, words[at], words[at + 1], " ".join(words[at + 2 :]))

    def with_changes(self, options: Optional[str], comment: Optional[str]) -> Key:
        """The same key with other options or another comment; None leaves them."""
        options = self.options if options is None else options or None
        comment = self.comment if comment is None else comment
        words = [options, self.type, self.blob, comment]
        return Key(" ".join(word for word in words if word), options, self.type, self.blob, comment)

    def same(self, other: Key) -> bool:
        return self._parts() == other._parts()

    def _parts(self) -> Tuple[str, str, Options, str]:
        return self.type, self.blob, _options(self.options), self.comment


def _options(text: Optional[str]) -> Options:
    """By name, each with its values; which of two names comes first does not matter to sshd."""
    found: Options = {}
    for option in OPTION.findall(text or ""):
        name, has_value, value = option.partition("=")
        found.setdefault(name, []).append(value if has_value else None)
    return found


def with_keys(lines: List[str], keys: List[Key], exclusive: bool) -> List[str]:
    """The file's lines with these keys in them: one that differs is replaced at the end, others stay as written.

    exclusive: nothing but these keys stays.
    """
    for key in keys:
        there = [found for found in map(Key.of, lines) if found is not None and found.blob == key.blob]
        if not there or not there[-1].same(key):
            lines = [*without_keys(lines, [key]), key.line]
    if not exclusive:
        return lines
    wanted = {key.blob for key in keys}
    found = {line: Key.of(line) for line in lines}
    return [line for line in lines for key in [found[line]] if key is not None and key.blob in wanted]


def without_keys(lines: List[str], keys: List[Key]) -> List[str]:
    unwanted = {key.blob for key in keys}
    return [line for line in lines for key in [Key.of(line)] if key is None or key.blob not in unwanted]
