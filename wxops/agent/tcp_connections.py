"""The TCP connections of this host, from the kernel's tables in /proc/net."""

from __future__ import annotations

import binascii
import socket
import struct
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Iterator, List, Set, Tuple

STATES = {"ESTABLISHED": 1, "SYN_SENT": 2, "SYN_RECV": 3, "FIN_WAIT1": 4, "FIN_WAIT2": 5, "TIME_WAIT": 6}
EVERY_ADDRESS = ("0.0.0.0", "::", "::ffff:0.0.0.0")


def active_connections(host: str, port: int, states: List[str], excluded: List[str]) -> int:
    """How many connections to that port of that host, in one of those states, come from other than excluded hosts."""
    here = addresses(host)
    ours = None if here & set(EVERY_ADDRESS) else here
    others = set().union(*(addresses(name) for name in excluded))
    wanted = {STATES[name] for name in states}
    return sum(
        1 for local, number, remote, state in connections()
        if number == port and state in wanted and remote not in others and (ours is None or local in ours)
    )  # fmt: skip


def addresses(host: str) -> Set[str]:
    """All addresses of a name; those of IPv4 also as IPv6 sockets show them."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None, 0, 0, socket.SOL_TCP)}
    except socket.gaierror as error:
        raise ModuleFailure("%s: %s" % (host, error.strerror)) from None
    return {str(address) for address in found} | {"::ffff:%s" % address for address in found if ":" not in str(address)}


def connections() -> Iterator[Tuple[str, int, str, int]]:
    """(local address, local port, remote address, state) of each connection."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as file:
                lines = file.readlines()[1:]
        except OSError:
            continue  # no IPv6
        for line in lines:
            _, local, remote, state = line.split()[:4]
            address, port = local.split(":")
            yield _readable(address), int(port, 16), _readable(remote.split(":")[0]), int(state, 16)


def _readable(text: str) -> str:
    """The kernel writes an address as 32-bit words in the machine's byte order."""
    words = struct.unpack("=%dI" % (len(text) // 8), binascii.unhexlify(text))
    packed = struct.pack(">%dI" % len(words), *words)
    if len(words) == 1:
        return socket.inet_ntop(socket.AF_INET, packed)
    return socket.inet_ntop(socket.AF_INET6, packed)
