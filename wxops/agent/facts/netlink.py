"""Addresses and routes asked from the kernel over rtnetlink(7): one socket where `ip` would be a process a question."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Dict, Iterator, List, Optional, Tuple, Type

    Attributes = Dict[int, bytes]

# linux/netlink.h and linux/rtnetlink.h
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x001, 0x300
RTM_GETADDR, RTM_GETROUTE = 22, 26
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST = 1, 2, 3, 4
IFA_F_SECONDARY = 0x01
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_TABLE, RTA_VIA = 1, 4, 5, 7, 15, 18
RTN_UNICAST, RTN_LOCAL = 1, 2
RT_TABLE_LOCAL = 255
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, interface
ROUTE = struct.Struct("=BBBBBBBBI")  # family, bits of destination and source, tos, table, protocol, scope, type, flags
ATTRIBUTE = struct.Struct("=HH")


class Address(NamedTuple):
    """One address of an interface. `peer` is the other end of a point-to-point link, which the prefix then is of."""

    interface: int
    family: int
    address: str
    prefix: int
    peer: str
    broadcast: str
    scope: str
    label: str
    secondary: bool


class Netlink:
    """A conversation with the kernel; use it in a `with`."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        with suppress(OSError):  # before Linux 4.20 the kernel cannot filter dumps by table and sends all
            self.socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.socket.close()

    def addresses(self) -> List[Address]:
        """Every address of every interface, IPv4 first."""
        found = []
        for body, attributes in self._ask(RTM_GETADDR, NLM_F_DUMP, ADDRESS.pack(0, 0, 0, 0, 0)):
            family, prefix, flags, scope, interface = ADDRESS.unpack_from(body)
            if family in (socket.AF_INET, socket.AF_INET6):
                other = _text(family, attributes.get(IFA_ADDRESS))
                mine = _text(family, attributes.get(IFA_LOCAL)) or other
                found.append(
                    Address(interface, family, mine, prefix, other if other != mine else "",
                            _text(family, attributes.get(IFA_BROADCAST)), SCOPES.get(scope, str(scope)),
                            attributes.get(IFA_LABEL, b"").rstrip(b"\0").decode("utf-8", "replace"),
                            bool(flags & IFA_F_SECONDARY))
                )  # fmt: skip
        return sorted(found, key=lambda address: address.family)

    def route_to(self, destination: str) -> Dict[str, str]:
        """Interface, source address and gateway of packets to an address; nothing when there is no way there."""
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        packed = socket.inet_pton(family, destination)
        question = ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0) + _attribute(RTA_DST, packed)
        for body, attributes in self._ask(RTM_GETROUTE, 0, question):
            if ROUTE.unpack_from(body)[7] == RTN_UNICAST and RTA_OIF in attributes:
                via = attributes.get(RTA_VIA)  # a next hop of the other family: its number, then the address
                facts = {
                    "interface": socket.if_indextoname(struct.unpack("=I", attributes[RTA_OIF])[0]),
                    "address": _text(family, attributes.get(RTA_PREFSRC)),
                    "gateway": _text(family, attributes.get(RTA_GATEWAY)) or (_text(via[0], via[2:]) if via else ""),
                }
                return {name: value for name, value in facts.items() if value}
        return {}

    def local_routes(self, family: int) -> List[str]:
        """Addresses, and prefixes as a whole, that this host answers for."""
        question = ROUTE.pack(family, 0, 0, 0, RT_TABLE_LOCAL, 0, 0, 0, 0)
        found = []
        for body, attributes in self._ask(RTM_GETROUTE, NLM_F_DUMP, question):
            _, bits, _, _, table, _, _, kind, _ = ROUTE.unpack_from(body)
            if kind == RTN_LOCAL and table == RT_TABLE_LOCAL:
                full = 128 if family == socket.AF_INET6 else 32
                name = _text(family, attributes.get(RTA_DST)) or "default"
                found.append(name if bits in (0, full) else "%s/%d" % (name, bits))
        return list(dict.fromkeys(found))

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[Tuple[bytes, Attributes]]:
        """The kernel's answers: each with its fixed part, and its attributes by number. Unreachable is no answer."""
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        fixed = (ADDRESS if kind == RTM_GETADDR else ROUTE).size
        more = True
        while more:
            for answer, content in _messages(self.socket.recv(1 << 17)):
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", content)[0]
                    if flags & NLM_F_DUMP:
                        raise OSError(number, os.strerror(number))
                    return
                yield content[:fixed], dict(_attributes(content[fixed:]))
            more = bool(flags & NLM_F_DUMP)


def _messages(data: bytes) -> Iterator[Tuple[int, bytes]]:
    while len(data) >= HEADER.size:
        length, kind, _, _, _ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : length]
        data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[Tuple[int, bytes]]:
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        yield kind, data[ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _text(family: int, packed: Optional[bytes]) -> str:
    return socket.inet_ntop(family, packed) if packed else ""
