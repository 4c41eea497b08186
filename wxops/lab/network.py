"""The lab's network: one bridge on this machine, and for each host a network namespace wired to it.

Hosts reach each other and this machine over the bridge, and the outside through one MASQUERADE rule.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.command import run, succeeds

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Where addresses start in the /24, and how many there are.
FIRST_HOST, MOST_HOSTS = 11, 39
FIRST_LIGHT_HOST, LIGHT_ADDRESSES = 50, 200
# Light hosts beyond the addresses that a /24 has share them, each at a port of its own.
LIGHT_PORTS = (22, 2201, 2202)
MOST_LIGHT_HOSTS = LIGHT_ADDRESSES * len(LIGHT_PORTS)


@dataclass(frozen=True)
class Network:
    """A /24 of which this machine's bridge has the first address. Every method may be called again."""

    lab: str
    subnet: ipaddress.IPv4Network

    @property
    def bridge(self) -> str:
        return f"wx-{self.lab}"

    @property
    def gateway(self) -> str:
        return str(self.subnet[1])

    def host_address(self, number: int) -> str:
        """Of the host with that number, from 1."""
        return str(self.subnet[FIRST_HOST + number - 1])

    def light_place(self, number: int) -> tuple[str, int]:
        """The address and port of the light host with that number, from 1."""
        wave, position = divmod(number - 1, LIGHT_ADDRESSES)
        return str(self.subnet[FIRST_LIGHT_HOST + position]), LIGHT_PORTS[wave]

    def up(self) -> None:
        self._require_free()
        if not Path("/sys/class/net", self.bridge).exists():
            run("ip", "link", "add", self.bridge, "address", hardware_address(self.gateway), "type", "bridge")
        run("ip", "address", "replace", f"{self.gateway}/{self.subnet.prefixlen}", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        FORWARDING.write_text("1")
        for table, chain, *rule in self._rules():
            if not succeeds("iptables", "-w", "-t", table, "-C", chain, *rule):
                run("iptables", "-w", "-t", table, "-I", chain, *rule)

    def _require_free(self) -> None:
        """Refuse a subnet that another interface of this machine is on: traffic would go astray."""
        for link in json.loads(run("ip", "-json", "-4", "address")):
            for address in link["addr_info"]:
                taken = ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
                if link["ifname"] != self.bridge and taken.overlaps(self.subnet):
                    raise LabError(
                        f"The lab's network {self.subnet} overlaps {taken} of {link['ifname']}.",
                        fix="Name a free /24 in WXOPS_LAB_SUBNET, such as 10.99.0.0/24.",
                    )

    def down(self) -> None:
        """Remove the bridge and its rules. Forwarding stays on: another lab or a Docker engine may count on it."""
        for table, chain, *rule in self._rules():
            while succeeds("iptables", "-w", "-t", table, "-D", chain, *rule):
                pass
        succeeds("ip", "link", "delete", self.bridge)

    def _rules(self) -> list[tuple[str, ...]]:
        """The packet filter rules: out by MASQUERADE, and past a FORWARD policy of DROP, such as Docker's."""
        note = ("-m", "comment", "--comment", f"wxops lab {self.lab}")
        return [
            ("nat", "POSTROUTING", "-s", str(self.subnet), "!", "-o", self.bridge, "-j", "MASQUERADE", *note),
            ("filter", "FORWARD", "-i", self.bridge, "-j", "ACCEPT", *note),
            ("filter", "FORWARD", "-o", self.bridge, "-j", "ACCEPT", *note),
        ]

    def attach(self, host: str, *addresses: str) -> None:
        """Make the host's namespace with eth0 at `addresses`; on this side the cable's end is named as the host."""
        self.detach(host)
        run("ip", "netns", "add", host)
        inner = ("name", "eth0", "address", hardware_address(addresses[0]), "netns", host)
        run("ip", "link", "add", host, "type", "veth", "peer", *inner)
        run("ip", "link", "set", host, "master", self.bridge, "up")
        inside = [
            "link set lo up",
            *(f"address add {address}/{self.subnet.prefixlen} dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add default via {self.gateway}",
        ]
        run("ip", "-netns", host, "-batch", "-", text="\n".join(inside))

    def detach(self, host: str) -> None:
        succeeds("ip", "link", "delete", host)
        succeeds("ip", "netns", "delete", host)

    def link(self, host: str, *, up: bool) -> None:
        """Plug the host's cable in or out."""
        run("ip", "link", "set", host, "up" if up else "down")

    def attached(self) -> list[str]:
        """The names of the hosts whose cable is plugged into the bridge, whoever plugged it in."""
        if not Path("/sys/class/net", self.bridge).exists():
            return []
        ends = json.loads(run("ip", "-json", "link", "show", "master", self.bridge) or "[]")
        return sorted(end["ifname"] for end in ends)


def hardware_address(address: str) -> str:
    """One for each IP address, always the same: a neighbour that remembers it still reaches a host that was reset."""
    return "02:77:" + ipaddress.IPv4Address(address).packed.hex(":")


def slash_24(text: str) -> ipaddress.IPv4Network:
    """A lab's network from its text; LabError when it is none."""
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise LabError(f"{text!r} is not an IPv4 network: {error}", fix="Use a /24, such as 10.77.0.0/24") from error
    if subnet.prefixlen != 24:
        raise LabError(f"A lab's network is a /24, not {text}.", fix="Use one such as 10.77.0.0/24")
    return subnet
