"""OpenPGP keys as apt's keyrings hold them (RFC 4880): told apart, named and put together without a gpg on the host."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    Packet = Tuple[int, bytes, bytes]
    """Tag, body, and the packet as it stood."""

SIGNATURE, PUBLIC_KEY, PUBLIC_SUBKEY, TRUST = 2, 6, 14, 12  # packet tags, RFC 4880 section 4.3
CREATED, KEY_EXPIRES, ISSUER = 2, 9, 33  # signature subpackets, section 5.2.3.1 and RFC 9580 section 5.2.3.35
OVER_KEY = (0x10, 0x11, 0x12, 0x13, 0x1F, 0x18)  # certifications, direct-key signatures and subkey bindings
ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+: [^\r\n]*\r?\n)*\s*\r?\n"
    rb"(?P<body>.*?)(?:\r?\n=(?P<sum>[A-Za-z0-9+/]{4}))?\s*-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
ARMOR_LINE = 64


class NotAKey(Exception):
    """It is no OpenPGP key; the message says why."""


class PublicKey:
    """One public key with its names, subkeys and signatures: `packets` as they are in a keyring."""

    def __init__(self, packets: List[Packet]) -> None:
        self.packets = packets
        self.body = packets[0][1]
        self.fingerprint = _fingerprint(self.body)

    @property
    def data(self) -> bytes:
        """For a keyring. gpg's own trust marks are no part of a key."""
        return b"".join(raw for tag, _, raw in self.packets if tag != TRUST)

    def ids(self, now: Optional[float] = None) -> List[str]:
        """The 16-digit ids of the key and its subkeys, those apart that have expired."""
        found = []
        for index, (tag, body, _) in enumerate(self.packets):
            following = self.packets[index + 1 :]
            if tag in (PUBLIC_KEY, PUBLIC_SUBKEY) and not _expired(body, following, self.fingerprint, now):
                found.append(_fingerprint(body)[-16:])
        return found


def keys_in(data: bytes) -> List[PublicKey]:
    """The keys in a keyring or an armored block. Raises NotAKey."""
    groups: List[List[Packet]] = []
    for packet in _packets(dearmored(data)):
        if packet[0] == PUBLIC_KEY:
            groups.append([packet])
        elif groups:
            groups[-1].append(packet)
        elif packet[0] != TRUST:
            raise NotAKey("it begins with no public key")
    return [PublicKey(group) for group in groups]


def is_armored(data: bytes) -> bool:
    return b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in data


def dearmored(data: bytes) -> bytes:
    """The bytes themselves. Several blocks one after the other are one keyring."""
    if not is_armored(data):
        return data
    found = b""
    for block in ARMOR.finditer(data):
        try:
            body = base64.b64decode(b"".join(block.group("body").split()), validate=True)
        except binascii.Error as error:
            raise NotAKey("its armor is damaged: %s" % error) from None
        if block.group("sum") and base64.b64decode(block.group("sum")) != _crc24(body):
            raise NotAKey("its armor is damaged: the checksum is another")
        found += body
    if not found:
        raise NotAKey("its armor is damaged")
    return found


def armored(data: bytes) -> bytes:
    text = base64.b64encode(data)
    lines = [text[start : start + ARMOR_LINE] for start in range(0, len(text), ARMOR_LINE)]
    first, last = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([first, *lines, b"=" + base64.b64encode(_crc24(data)), last, b""])


def _packets(data: bytes) -> Iterator[Packet]:
    """RFC 4880 section 4.2: headers in the old and in the new format."""
    at = 0
    while at < len(data):
        start, first = at, data[at]
        if not first & 0x80:
            raise NotAKey("it is no OpenPGP data")
        try:
            size, at = _new_size(data, at + 1) if first & 0x40 else _old_size(data, at + 1, first & 3)
        except (IndexError, struct.error):
            raise NotAKey("it is cut short") from None
        tag = first & 0x3F if first & 0x40 else (first >> 2) & 0xF
        if at + size > len(data):
            raise NotAKey("it is cut short")
        yield tag, data[at : at + size], data[start : at + size]
        at += size


def _new_size(data: bytes, at: int) -> Tuple[int, int]:
    """A packet's size, and where its body begins."""
    size, length = _length(data, at)
    return size, at + length


def _old_size(data: bytes, at: int, kind: int) -> Tuple[int, int]:
    if kind == 3:
        return len(data) - at, at
    length = 1 << kind
    return int.from_bytes(data[at : at + length], "big"), at + length


def _length(data: bytes, at: int) -> Tuple[int, int]:
    """A length of the new format, and how many bytes it takes."""
    first = data[at]
    if first < 192:
        return first, 1
    if first < 224:
        return ((first - 192) << 8) + data[at + 1] + 192, 2
    if first == 255:
        return int(struct.unpack(">I", data[at + 1 : at + 5])[0]), 5
    raise NotAKey("it has packets of partial length, which keys never have")


def _fingerprint(body: bytes) -> str:
    """Section 12.2, for keys of version 4; version 3 has gone from apt."""
    if body[:1] != b"\4":
        raise NotAKey("it is a key of version %d; apt takes version 4" % (body[0] if body else 0))
    return hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest().upper()


def _expired(body: bytes, following: List[Packet], owner: str, now: Optional[float]) -> bool:
    """By the last of its owner's signatures, which says for how long it is good."""
    created, latest, lasts = struct.unpack(">I", body[1:5])[0], -1, 0
    for tag, signature, _ in following:
        if tag in (PUBLIC_KEY, PUBLIC_SUBKEY):
            break
        if tag != SIGNATURE or signature[:1] != b"\4" or signature[1] not in OVER_KEY:
            continue
        told = dict(_subpackets(signature))
        made = int.from_bytes(told.get(CREATED, b""), "big")
        if made >= latest and told.get(ISSUER, b"")[1:].hex().upper() in ("", owner):
            latest, lasts = made, int.from_bytes(told.get(KEY_EXPIRES, b""), "big")
    return bool(lasts) and created + lasts <= (time.time() if now is None else now)


def _subpackets(signature: bytes) -> Iterator[Tuple[int, bytes]]:
    """The hashed ones of a signature of version 4: section 5.2.3."""
    end = 6 + int.from_bytes(signature[4:6], "big")
    at = 6
    while at < end:
        size, length = _length(signature, at)
        at += length
        yield signature[at] & 0x7F, signature[at + 1 : at + size]
        at += size


def _crc24(data: bytes) -> bytes:
    """Section 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return (crc & 0xFFFFFF).to_bytes(3, "big")
